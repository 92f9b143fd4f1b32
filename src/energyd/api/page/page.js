"use strict";
// Asks the daemon every few seconds and draws what it answers. Nothing that is answered is ever read as HTML.

const ASK_EVERY = 5000, ANSWER_WITHIN = 10000, TYPED_AFTER = 250; // milliseconds
const OLD_AFTER = 20; // seconds
const TOKEN = "energyd token";

const state = { overview: null, heardAt: 0, failedSince: 0, failure: "", find: "", attention: false, sheet: 1 };

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
    ...(alerts.length ? alerts.map(alertRow) : [make("p", { className: "calm" }, "No open alerts")]),
    ...pauses.map(pauseRow),
  ]);
}

function alertRow(alert) {
  const since = make("span", { className: "quiet" }, "since ", moment(alert.since, { withAge: true }));
  const isNamed = !alert.subject || alert.summary.includes(alert.subject.slice(0, 12)); // of an order the first letters
  const subject = isNamed ? "" : `${alert.subject}: `;
  return make("p", { className: "alert" }, make("strong", {}, readable(alert.alert)), " ", subject,
    sentence(alert.summary), " ", since, make("br"), sentence(`What to do: ${alert.todo}`));
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
  const parts = ["for a unit of energy"];
  if (burning !== null) parts.push(`burning ${number(burning)} sun`);
  if (cycle !== null) parts.push(`a cycle ${money(cycle)}`);
  return parts.join("; ");
}

function cyclesNote({ spent_day_sun: all, rentals_day_sun: rentals }) {
  return all === rentals ? "for energy" : `of it ${money(all - rentals)} for cycles`;
}

function runway({ runway_seconds: seconds, balance_sun: balance }) {
  if (balance === null) return "it has not been read yet";
  return seconds === null ? "nothing was spent in 24 h" : `lasts ${roughly(seconds)} at this pace`;
}

function drawBudgets({ policies }) {
  byId("spending").hidden = !policies.length;
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

// --- decisions ------------------------------------------------------------------------------------------------------

const ROUTINE = ["enough", "in_flight", "cycles_enough", "infinite_cycles", "outside_window", "inactive"];
const COLUMNS = ["when", "address", "decision", "why", "cost"];

const nameOf = (address) => state.overview.addresses.find((row) => row.address === address)?.label ?? null;

function drawDecisions({ decisions }) {
  show(byId("decisions"), decisions, () => {
    if (!decisions.length) return make("p", { className: "calm" }, "No decision in the last 24 hours.");
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
    make("td", { className: "what" }, actionOf(decision), bought && ` ${bought}`),
    make("td", { className: "why" }, reasonOf(decision), " ", sentence(decision.sentence)),
    make("td", { className: "cost" }, decision.cost_sun === null ? "" : money(decision.cost_sun)));
}

// --- asking ---------------------------------------------------------------------------------------------------------

let asking = null, timer = 0, typing = 0;

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
byId("find").addEventListener("input", ({ target }) => {
  clearTimeout(typing);
  typing = setTimeout(() => lookFor({ find: target.value.trim() }), TYPED_AFTER);
});
byId("attention").addEventListener("change", (event) => lookFor({ attention: event.target.checked }));
byId("back").addEventListener("click", () => lookFor({ sheet: state.sheet - 1 }));
byId("forth").addEventListener("click", () => lookFor({ sheet: state.sheet + 1 }));
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : askAnew()));
byId("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
setInterval(tick, 1000);
ask();
