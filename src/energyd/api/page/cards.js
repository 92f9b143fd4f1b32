"use strict";
// One card for each address: how it stands, its time line, and what was decided last.

const cards = new Map();

function drawAddresses(overview) {
  const rows = overview.addresses;
  const wanted = rows.map((row) => card(row.address));
  const nodes = wanted.length ? wanted.map((one) => one.node) : [nothingFound(overview)];
  const shown = byId("addresses").children;
  if (nodes.length !== shown.length || nodes.some((node, place) => node !== shown[place])) {
    byId("addresses").replaceChildren(...nodes);
  }
  byId("legend").hidden = !rows.length;
  rows.forEach((row, place) => drawCard(wanted[place], row, overview));
  forgetOthers(rows);
  drawSheets(overview);
}

function forgetOthers(rows) {
  for (const [address, { chart }] of cards) {
    if (rows.some((row) => row.address === address)) continue;
    resizes.unobserve(chart);
    cards.delete(address);
  }
}

const nothing = make("p", { className: "calm" });

function nothingFound({ totals }) {
  nothing.textContent = totals.addresses ? "No address is like that." : "No enabled policy watches an address yet.";
  return nothing;
}

/** The card of an address, which stays as long as the address is shown: what is open or selected in it does, too. */
function card(address) {
  const known = cards.get(address);
  if (known) return known;
  const parts = { head: make("div", { className: "head" }), facts: make("div", { className: "facts" }) };
  const chart = make("div", { className: "chart", tabIndex: 0, role: "img" });
  const tip = make("div", { className: "tip", hidden: true, role: "status" });
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
  if (row.decision?.action === "rent") return ["warn", "renting"];
  if (row.gap > 0) return row.paused ? ["warn", "paused, short"] : ["bad", `short of ${number(row.gap)}`];
  if (row.paused) return ["warn", "paused"];
  if (row.cycles?.decision && row.needs_attention) return ["bad", readable(row.cycles.decision.reason)];
  return ["good", row.in_flight > 0 ? "on its way" : "enough"];
}

function cardFacts(row) {
  const isKnown = row.available !== null;
  const figure = make("span", { className: "figure" }, isKnown ? number(row.available) : "not known");
  figure.classList.toggle("unknown", !isKnown);
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
  make("p", {}, actionOf(decision), " ", reasonOf(decision), " ", sentence(decision.sentence));

function nextCall(row, overview) {
  const next = shownCalls(row).find((call) => epoch(call.at) > epoch(overview.at));
  if (!next) return null;
  const energy = next.energy === null ? "energy not known yet" : `${number(next.energy)} energy`;
  return `${next.call} at ${clock(epoch(next.at), epoch(overview.at))}, ${energy}, ${next.state}`;
}

function drawSheets({ found, sheet, sheets, totals }) {
  state.sheet = sheet;
  const all = plural(totals.addresses, "address", "addresses");
  byId("addresses-title").textContent = found === totals.addresses ? all : `${number(found)} of ${all}`;
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
  chart.addEventListener("focus", () => {
    if (chart.matches(":focus-visible")) point(made, made.cursor ?? epoch(state.overview.at));
  });
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
    make("strong", {}, heading), " ", make("span", { className: "quiet" }, utc),
    ...lines.map((line) => make("p", {}, line)),
  ]);
  const x = at.x(made.cursor);
  made.tip.style.left = `${Math.max(Math.min(x - made.tip.offsetWidth / 2, width - made.tip.offsetWidth), 0)}px`;
  made.chart.querySelector(".cursor")?.remove();
  made.chart.querySelector("svg")?.append(upright(x, "cursor"));
}
