"use strict";
// Asks the daemon every few seconds and draws what it answers. Nothing that is answered is ever read as HTML.

const ASK_EVERY = 5000, ANSWER_WITHIN = 10000; // milliseconds
const OLD_AFTER = 20; // seconds
const TOKEN = "energyd token";

const state = { overview: null, heardAt: 0, failedSince: 0, failure: "", find: "", attention: false, sheet: 1 };
const byId = (id) => document.getElementById(id);

// --- building -------------------------------------------------------------------------------------------------------

/** An element with properties, and children that are nodes or text. */
function make(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const drawn = new WeakMap();

/** Fills a node anew when what it shows has changed, and leaves it alone otherwise, with what is selected in it. */
function show(node, facts, build) {
  const key = JSON.stringify(facts);
  if (drawn.get(node) === key) return;
  drawn.set(node, key);
  node.replaceChildren(...[build(facts)].flat().filter((child) => child !== null));
}

/** A moment, and how long ago that was; it goes on counting. */
function moment(text, { withAge = false } = {}) {
  const at = epoch(text);
  const node = make("time", { dateTime: text, title: inUtc(at) }, clock(at, undefined, true));
  if (withAge) node.dataset.age = String(at);
  return node;
}

/** A whole address that looks short: what is selected and copied is all of it. */
function shortened(address) {
  const middle = make("span", { className: "middle" }, address.slice(6, -6));
  return make("span", { className: "address", title: address }, address.slice(0, 6), middle, address.slice(-6));
}

/** A sentence in which `this` is code. */
const sentence = (text) =>
  make("span", { className: "sentence" },
    ...text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part)));

const nameOf = (address) => state.overview.addresses.find((row) => row.address === address)?.label ?? null;

// --- the head -------------------------------------------------------------------------------------------------------

function drawHead(overview) {
  const mode = byId("mode");
  const isLive = overview.mode === "live";
  mode.hidden = false;
  mode.className = `badge ${isLive ? "live" : "dry"}`;
  mode.textContent = isLive ? "live" : "DRY RUN";
  mode.title = isLive ? "it spends, within the budgets" : "it decides and writes down, and buys nothing";
  byId("version").textContent = `${overview.version}, up ${roughly(epoch(overview.at) - epoch(overview.began_at))}`;
  byId("version").title = `since ${inUtc(epoch(overview.began_at))}`;
  const attention = overview.totals.need_attention;
  document.title = attention || overview.alerts.length ? `(${overview.alerts.length || attention}) energyd` : "energyd";
}

function drawAlerts({ alerts, pauses }) {
  show(byId("alerts"), { alerts, pauses }, () => [
    ...alerts.map(alertRow),
    ...pauses.map(pauseRow),
    ...(alerts.length || pauses.length ? [] : [make("p", { className: "calm" }, "No open alerts")]),
  ]);
}

function alertRow(alert) {
  const since = make("span", { className: "quiet" }, "since ", moment(alert.since, { withAge: true }));
  const isNamed = !alert.subject || alert.summary.includes(alert.subject.slice(0, 12)); // of an order the first letters
  const subject = isNamed ? "" : `${alert.subject}: `;
  return make("p", { className: "alert" }, make("strong", {}, readable(alert.alert)), " ", subject,
    sentence(alert.summary), " ", since);
}

function pauseRow(pause) {
  const whose = pause.policy ? `policy ${pause.policy}` : pause.address ? pause.address : "everything";
  const until = pause.until ? ["until ", moment(pause.until)] : ["until it is resumed"];
  return make("p", { className: "alert pause" }, make("strong", {}, "paused"), ` ${whose} `, ...until,
    pause.reason ? `: ${pause.reason}` : null);
}

// --- totals and budgets ---------------------------------------------------------------------------------------------

function tile(name, figure, unit, note, title = "") {
  const known = figure === null ? ["not known"] : [figure, " ", make("small", {}, unit)];
  return make("div", { className: "tile", title }, make("span", { className: "name" }, name),
    make("span", { className: "figure" }, ...known), make("span", { className: "quiet" }, note));
}

function drawTotals({ totals }) {
  const { rent_price_sun: price, balance_sun: balance } = totals;
  show(byId("totals"), totals, () => [
    tile("Spent in 24 h", trx(totals.spent_day_sun), "TRX", cyclesNote(totals)),
    tile("Rented in 24 h", number(totals.rented_day), "energy", burningNote(totals), "at what burning costs now"),
    tile("Price", price === null ? null : number(price), "sun", priceNote(totals)),
    tile("Balance at Netts", balance === null ? null : trx(balance), "TRX", runway(totals)),
  ]);
}

function burningNote({ burning_day_sun: burning, rented_day: energy }) {
  return burning === null || !energy ? "for an hour each" : `burning as much: ${money(burning)}`;
}

function priceNote({ burn_price_sun: burning, cycle_price_sun: cycle }) {
  const others = [burning === null ? null : `burning ${number(burning)} sun`, cycle === null ? null : `a cycle ${money(cycle)}`];
  return ["for a unit of energy", ...others].filter(Boolean).join("; ");
}

function cyclesNote({ spent_day_sun: all, rentals_day_sun: rentals }) {
  return all === rentals ? "for energy" : `of it ${money(all - rentals)} for cycles`;
}

function runway({ runway_seconds: seconds, balance_sun: balance }) {
  if (balance === null) return "it has not been read yet";
  return seconds === null ? "nothing was spent in 24 h" : `lasts ${roughly(seconds)} at this pace`;
}

function drawBudgets({ policies }) {
  show(byId("budgets"), policies, () => policies.map((policy) =>
    make("div", { className: "budget" },
      make("span", { className: "policy" }, policy.policy, policy.is_observed ? " (observed)" : ""),
      budgetBar("hour", policy.spent_hour_sun, policy.budget_hour_sun),
      budgetBar("24 h", policy.spent_day_sun, policy.budget_day_sun))));
}

function budgetBar(name, spent, budget) {
  const percent = share(spent, budget);
  const fill = make("i", { className: percent >= 90 ? "full" : "" });
  fill.style.width = `${Math.min(percent ?? 0, 100)}%`;
  const text = budget === null ? `${money(spent)}, unlimited` : `${trx(spent)} of ${money(budget)}`;
  const title = percent === null ? "" : `${percent} %`;
  return make("span", { className: "spent", title }, make("span", { className: "quiet" }, name),
    make("span", { className: "track", ariaHidden: "true" }, fill), make("span", { className: "sum" }, text));
}

// --- addresses ------------------------------------------------------------------------------------------------------

const cards = new Map();

function drawAddresses(overview) {
  const rows = overview.addresses;
  const wanted = rows.map((row) => card(row.address));
  const holder = byId("addresses");
  if (wanted.length !== holder.children.length || wanted.some((one, place) => one.node !== holder.children[place])) {
    holder.replaceChildren(...(wanted.length ? wanted.map((one) => one.node) : [nothingFound(overview)]));
  }
  rows.forEach((row, place) => drawCard(wanted[place], row, overview));
  for (const address of cards.keys()) if (!rows.some((row) => row.address === address)) cards.delete(address);
  drawSheets(overview);
}

function nothingFound(overview) {
  const text = overview.totals.addresses ? "No address is like that." : "No enabled policy watches an address yet.";
  return make("p", { className: "calm" }, text);
}

/** The card of an address, which stays as long as the address is shown: what is open or selected in it does, too. */
function card(address) {
  const known = cards.get(address);
  if (known) return known;
  const parts = { head: make("div", { className: "head" }), facts: make("div", { className: "facts" }) };
  const chart = make("div", { className: "chart", tabIndex: 0, role: "img" });
  const tip = make("div", { className: "tip", hidden: true });
  const frame = make("div", { className: "frame" }, chart, tip);
  const foot = make("div", { className: "foot" });
  const made = { ...parts, chart, tip, foot, cursor: null, row: null,
    node: make("article", { className: "card" }, parts.head, parts.facts, frame, foot) };
  cards.set(address, made);
  hearPointer(made);
  resizes.observe(chart);
  return made;
}

function drawCard(made, row, overview) {
  made.row = row;
  made.node.classList.toggle("attention", row.needs_attention);
  show(made.head, [row.label, row.address, row.policy, stand(row)], () => cardHead(row));
  show(made.facts, [row.available, row.in_flight, row.floor, row.cycles, row.decision === null], () => cardFacts(row));
  show(made.foot, [row.decision, row.cycles?.decision, nextCall(row, overview)], () => cardFoot(row, overview));
  drawCardChart(made);
}

function cardHead(row) {
  const [look, text] = stand(row);
  return [
    row.label ? make("strong", {}, row.label) : null, shortened(row.address),
    make("span", { className: "policy quiet" }, row.policy), make("span", { className: `stand ${look}` }, text),
  ];
}

/** How an address stands, in a word and a colour. */
function stand(row) {
  if (row.orders.some((order) => order.state === "unresolved")) return ["bad", "order unclear"];
  if (row.decision && row.available === null) return ["bad", "not read"];
  if (row.decision === null && row.cycles === null) return ["quiet", "not looked at yet"];
  if (row.gap > 0) return row.paused ? ["warn", "paused, short"] : ["bad", `short of ${number(row.gap)}`];
  if (row.paused) return ["warn", "paused"];
  if (row.cycles?.decision && row.needs_attention) return ["bad", readable(row.cycles.decision.reason)];
  return ["good", row.in_flight > 0 ? "on its way" : "enough"];
}

function cardFacts(row) {
  const isKnown = row.available !== null;
  const figure = make("span", { className: isKnown ? "figure" : "figure unknown" }, isKnown ? number(row.available) : "not known");
  const floor = row.floor ? `, floor ${number(row.floor)}` : "";
  const facts = isKnown || row.decision ? [figure, make("span", { className: "quiet" }, `energy${floor}`)] : [];
  if (row.in_flight > 0) facts.push(make("span", { className: "coming" }, `+ ${number(row.in_flight)} on its way`));
  if (row.cycles) facts.push(cyclesGauge(row.cycles));
  return facts;
}

function cyclesGauge(cycles) {
  const { remaining, min_cycles: least, min_left: lasts, top_up_to: most } = cycles;
  const count = remaining ?? (cycles.known === "infinite" ? "∞" : "?");
  const bar = make("span", { className: "track", ariaHidden: "true" });
  if (remaining !== null) {
    const fill = make("i", { className: least !== null && remaining < least ? "full" : "" });
    fill.style.width = `${Math.min((remaining / Math.max(most, remaining)) * 100, 100)}%`;
    bar.append(fill);
  }
  if (least !== null) {
    const mark = make("b");
    mark.style.left = `${(least / Math.max(most, remaining ?? 0)) * 100}%`;
    bar.append(mark);
  }
  const rule = least === null ? `to last ${lasts}` : `at least ${least}`;
  return make("span", { className: "cycles" }, make("strong", {}, String(count)), " cycles", bar,
    make("span", { className: "quiet" }, `${rule}, up to ${most}`));
}

function cardFoot(row, overview) {
  const lines = [row.decision, row.cycles?.decision].filter(Boolean).map(said);
  const next = nextCall(row, overview);
  if (next) lines.push(make("p", {}, make("strong", {}, "next call "), next));
  return lines;
}

const said = (decision) =>
  make("p", {}, make("span", { className: `action ${decision.action}` }, readable(decision.action)), " ",
    make("span", { className: "reason" }, readable(decision.reason)), " ", sentence(decision.sentence));

function nextCall(row, overview) {
  const next = shownCalls(row).find((call) => epoch(call.at) > epoch(overview.at));
  if (!next) return null;
  const energy = next.energy === null ? "energy not known yet" : `${number(next.energy)} energy`;
  return `${next.call} at ${clock(epoch(next.at), epoch(overview.at))}, ${energy}, ${next.state}`;
}

function drawSheets({ found, sheet, sheets, totals }) {
  state.sheet = sheet;
  byId("addresses-title").textContent =
    found === totals.addresses ? plural(found, "address", "addresses") : `${number(found)} of ${plural(totals.addresses, "address", "addresses")}`;
  byId("attention-text").textContent = `${number(totals.need_attention)} need attention`;
  byId("filter").hidden = totals.addresses < 2;
  byId("sheets").hidden = sheets < 2;
  byId("sheet").textContent = `${sheet} of ${sheets}`;
  byId("back").disabled = sheet <= 1;
  byId("forth").disabled = sheet >= sheets;
}

// --- charts and their tooltips --------------------------------------------------------------------------------------

const resizes = new ResizeObserver((entries) => entries.forEach(({ target }) => {
  const made = [...cards.values()].find((one) => one.chart === target);
  if (made?.row) drawCardChart(made);
}));

function drawCardChart(made) {
  const width = Math.floor(made.chart.clientWidth);
  if (!width) return;
  const { at, day_from: from } = state.overview;
  show(made.chart, [made.row, at, from, width], () => drawChart(made.row, state.overview, width));
  made.chart.setAttribute("aria-label", `${made.row.label ?? made.row.address}. ${summary(made.row, state.overview)}`);
  drawTip(made);
}

/** The pointer, a finger or the arrow keys move the cursor; its moment stays when the chart is drawn anew. */
function hearPointer(made) {
  const { chart } = made;
  const follow = (event) => {
    const box = chart.getBoundingClientRect();
    const at = scales(made.row, state.overview, box.width);
    point(made, at.from + ((event.clientX - box.left) / box.width) * (at.until - at.from));
  };
  chart.addEventListener("pointermove", follow);
  chart.addEventListener("pointerdown", follow);
  chart.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && point(made, null));
  chart.addEventListener("blur", () => point(made, null));
  chart.addEventListener("focus", () => chart.matches(":focus-visible") && point(made, made.cursor ?? epoch(state.overview.at)));
  chart.addEventListener("keydown", (event) => step(made, event));
}

function step(made, event) {
  const { day_from: from, at, stretch_seconds: stretch } = state.overview;
  const by = { ArrowLeft: -stretch, ArrowRight: stretch, PageUp: -HOUR, PageDown: HOUR }[event.key];
  if (event.key === "Escape") point(made, null);
  if (!by) return;
  event.preventDefault();
  const moved = (made.cursor ?? epoch(at)) + by;
  point(made, Math.min(Math.max(moved, epoch(from)), epoch(at) + AHEAD - 1));
}

function point(made, at) {
  for (const other of cards.values()) if (other !== made && other.cursor !== null) clearTip(other);
  made.cursor = at;
  if (at === null) clearTip(made);
  else drawTip(made);
}

function clearTip(made) {
  made.cursor = null;
  made.tip.hidden = true;
  made.chart.querySelector(".cursor")?.remove();
}

function drawTip(made) {
  if (made.cursor === null || !made.row) return;
  const width = made.chart.clientWidth;
  const at = scales(made.row, state.overview, width);
  const { heading, utc, lines } = told(made.row, state.overview, made.cursor);
  made.tip.hidden = false;
  show(made.tip, [heading, utc, lines], () => [
    make("strong", {}, heading), " ", make("span", { className: "quiet" }, utc), ...lines.map((line) => make("p", {}, line)),
  ]);
  const x = at.x(made.cursor);
  made.tip.style.left = `${Math.max(Math.min(x - made.tip.offsetWidth / 2, width - made.tip.offsetWidth), 0)}px`;
  made.chart.querySelector(".cursor")?.remove();
  made.chart.querySelector("svg")?.append(svg("line", { x1: x, x2: x, y1: PLOT.top, y2: LANES.top + 20, class: "cursor" }));
}

// --- decisions ------------------------------------------------------------------------------------------------------

const ROUTINE = ["enough", "in_flight", "cycles_enough", "infinite_cycles", "outside_window", "inactive"];
const COLUMNS = ["when", "address", "decision", "why", "cost"];

function drawDecisions({ decisions }) {
  show(byId("decisions"), decisions, () => {
    if (!decisions.length) return make("p", { className: "calm" }, "No decision was written down in the last 24 hours.");
    const head = make("tr", {}, ...COLUMNS.map((name) => make("th", { scope: "col" }, name)));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...decisions.map(decisionRow)));
  });
}

function decisionRow(decision) {
  const name = nameOf(decision.address);
  const bought = decision.bought === null ? null : decision.kind === "cycles"
    ? plural(decision.bought, "cycle", "cycles") : number(decision.bought);
  const isRoutine = decision.action === "hold" && ROUTINE.includes(decision.reason);
  return make("tr", { className: isRoutine ? "routine" : "" },
    make("td", { className: "when" }, moment(decision.at)),
    make("td", {}, name ? make("span", { title: decision.address }, name) : shortened(decision.address)),
    make("td", { className: "what" }, make("span", { className: `action ${decision.action}` }, readable(decision.action)),
      bought && ` ${bought}`),
    make("td", { className: "why" }, make("span", { className: "reason" }, readable(decision.reason)), " ",
      sentence(decision.sentence)),
    make("td", { className: "cost" }, decision.cost_sun === null ? "" : money(decision.cost_sun)));
}

// --- asking ---------------------------------------------------------------------------------------------------------

let asking = null, timer = 0;

/** One request at a time; a new one takes the place of one that is under way only when something else is asked for. */
async function ask() {
  clearTimeout(timer);
  if (document.hidden) return;
  const mine = (asking = new AbortController());
  const deadline = setTimeout(() => mine.abort(), ANSWER_WITHIN);
  try {
    await hear(await fetch(address(), { headers: credentials(), cache: "no-store", signal: mine.signal }));
  } catch (error) {
    if (mine === asking) fail(error.name === "AbortError" ? "no answer in time" : "no answer");
  } finally {
    clearTimeout(deadline);
    if (mine === asking) {
      asking = null;
      timer = setTimeout(ask, ASK_EVERY);
    }
  }
}

function askAnew() {
  const before = asking;
  asking = null;
  before?.abort();
  ask();
}

function address() {
  const wanted = new URLSearchParams();
  if (state.find) wanted.set("find", state.find);
  if (state.attention) wanted.set("attention", "true");
  if (state.sheet > 1) wanted.set("sheet", String(state.sheet));
  return `/v1/overview?${wanted}`;
}

function credentials() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function hear(response) {
  if (response.status === 401) return askForToken();
  const answer = await response.json();
  if (!response.ok) return fail(answer.error ?? `it answers ${response.status}`);
  byId("token").hidden = true;
  Object.assign(state, { overview: answer, heardAt: Date.now(), failedSince: 0, failure: "" });
  draw();
}

function draw() {
  const { overview } = state;
  document.querySelector("main").hidden = false;
  drawHead(overview);
  drawAlerts(overview);
  drawTotals(overview);
  drawAddresses(overview);
  drawBudgets(overview);
  drawDecisions(overview);
  tick();
}

function fail(why) {
  state.failedSince ||= Date.now();
  state.failure = why;
  tell();
}

function askForToken() {
  const form = byId("token");
  const wasWrong = Boolean(sessionStorage.getItem(TOKEN));
  sessionStorage.removeItem(TOKEN);
  if (form.hidden) {
    form.hidden = false;
    byId("token-text").focus();
  }
  state.failedSince ||= Date.now();
  state.failure = wasWrong ? "this is not its token" : "it asks for its token";
  tell();
}

/** The daemon's clock, which goes on between two answers. */
const daemonNow = () => epoch(state.overview.at) + (Date.now() - state.heardAt) / 1000;

/** How old what is shown is, and why; goes on counting by itself. */
function tell() {
  const seconds = (Date.now() - state.heardAt) / 1000;
  byId("updated").textContent = state.overview ? `updated ${ago(seconds)}` : "";
  const notice = byId("notice");
  const isOld = Boolean(state.failure) || (state.overview && seconds > OLD_AFTER);
  document.body.classList.toggle("old", Boolean(isOld && state.overview));
  notice.hidden = !isOld || !byId("token").hidden && !state.overview && !state.failure.startsWith("this");
  const why = state.failure || "no answer";
  const since = state.failedSince ? ` since ${clock(state.failedSince / 1000, undefined, true)}` : "";
  const text = state.overview ? `${why}${since}; what you see is ${lasting(seconds)} old` : `${why}${since}`;
  if (!notice.hidden) notice.textContent = text[0].toUpperCase() + text.slice(1) + ".";
}

function tick() {
  tell();
  for (const node of document.querySelectorAll("time[data-age]")) {
    const since = Number(node.dataset.age);
    node.textContent = `${clock(since)}, ${ago(daemonNow() - since)}`;
  }
}

// --- what a person does ---------------------------------------------------------------------------------------------

function lookFor(changes) {
  Object.assign(state, { sheet: 1 }, changes);
  askAnew();
}

byId("token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, byId("token-text").value.trim());
  byId("token-text").value = "";
  askAnew();
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("find").addEventListener("input", (event) => lookFor({ find: event.target.value.trim() }));
byId("attention").addEventListener("change", (event) => lookFor({ attention: event.target.checked }));
byId("back").addEventListener("click", () => lookFor({ sheet: state.sheet - 1 }));
byId("forth").addEventListener("click", () => lookFor({ sheet: state.sheet + 1 }));
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : askAnew()));
byId("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
setInterval(tick, 1000);
ask();
