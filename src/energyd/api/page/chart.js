"use strict";
// The time line of one address: its energy over the last day and the hours that come, in an SVG.
// Where nothing is known there is a hatched gap, never a zero.

const AHEAD = 4 * HOUR;
const PLOT = { top: 16, bottom: 96 };
const LANES = { top: 101, height: 5, gap: 2, count: 3 };
const CALLS_AT = 6;
const CHART_HEIGHT = 140;
const AXIS_AT = CHART_HEIGHT - 4;
const UNCLEAR = ["intended", "sent", "unresolved"];
const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const isCycles = (row) => row.drawn === "cycles";
const floorOf = (row) => (isCycles(row) ? row.cycles.min_cycles : row.floor);
const targetOf = (row) => (isCycles(row) ? row.cycles.top_up_to : row.target);
const levelNow = (row) => (isCycles(row) ? row.cycles.remaining : row.available);
const amount = (row, level) => (isCycles(row) ? plural(level, "cycle", "cycles") : `${number(level)} energy`);

/** What lies where: `x` for a moment, `y` for an amount of energy. */
function scales(row, overview, width) {
  const from = epoch(overview.day_from);
  const now = epoch(overview.at);
  const until = now + AHEAD;
  const known = row.lowest.filter((level) => level !== null);
  const top = Math.max(...known, levelNow(row) ?? 0, targetOf(row) ?? 0, (floorOf(row) ?? 0) * 1.2, 1) * 1.06;
  const x = (moment) => ((Math.min(Math.max(moment, from), until) - from) / (until - from)) * width;
  const y = (energy) => PLOT.bottom - (energy / top) * (PLOT.bottom - PLOT.top);
  return { from, now, until, width, top, x, y, step: overview.stretch_seconds };
}

/** The day in pieces: levels that follow one another, readings that failed, and times when nobody looked. */
function pieces(row, at) {
  const failed = new Set(row.unread);
  const found = [];
  row.lowest.forEach((level, place) => {
    const begins = at.from + place * at.step;
    if (begins > at.now) return;
    const ends = Math.min(begins + at.step, at.now);
    const kind = level !== null ? "known" : failed.has(place) ? "unread" : "absent";
    if (found.at(-1)?.kind !== kind) found.push({ kind, begins, levels: [] });
    found.at(-1).ends = ends;
    found.at(-1).levels.push({ begins, ends, level });
  });
  return found;
}

function stepLine(levels, at) {
  return levels.map(({ begins, ends, level }, index) => {
    const height = at.y(level).toFixed(1);
    return `${index ? "V" : `M${at.x(begins).toFixed(1)} `}${height}H${at.x(ends).toFixed(1)}`;
  }).join("");
}

function drawLevels(row, at) {
  return pieces(row, at).flatMap((piece) => {
    if (piece.kind !== "known") return [gap(piece.kind, piece.begins, piece.ends, at)];
    const line = stepLine(piece.levels, at);
    const base = PLOT.bottom;
    const area = `${line}V${base}H${at.x(piece.begins).toFixed(1)}Z`;
    return [svg("path", { d: area, class: "area" }), svg("path", { d: line, class: "level" })];
  });
}

function gap(kind, begins, ends, at) {
  const x = at.x(begins);
  const box = { x, y: PLOT.top, width: Math.max(at.x(ends) - x, 1), height: PLOT.bottom - PLOT.top };
  return svg("rect", { ...box, class: `gap ${kind}` });
}

/** Stretches of which something is known and in which a reading failed all the same. */
function drawFailures(row, at) {
  return row.unread
    .filter((place) => row.lowest[place] !== null && at.from + place * at.step < at.now)
    .map((place) => gap("unread", at.from + place * at.step, Math.min(at.from + (place + 1) * at.step, at.now), at));
}

/** Stretches that follow one another, from lists of places such as 3, 4, 5, 9. */
function runs(places) {
  const found = [];
  for (const place of places) {
    if (found.at(-1)?.at(-1) === place - 1) found.at(-1).push(place);
    else found.push([place]);
  }
  return found;
}

/** Where the floor was to be kept and there was less; over the line as well, so that a short dip is red, too. */
function drawBelow(row, at) {
  const floor = floorOf(row);
  const places = floor ? row.below.filter((place) => row.lowest[place] !== null && row.lowest[place] < floor) : [];
  return runs(places).map((run) => {
    const levels = run.map((place) => {
      const begins = at.from + place * at.step;
      return { begins, ends: Math.min(begins + at.step, at.now), level: row.lowest[place] };
    });
    const line = `${stepLine(levels, at)}V${at.y(floor)}H${at.x(levels[0].begins)}Z`;
    return svg("path", { d: line, class: "below" });
  });
}

function drawFloor(row, at) {
  const floor = floorOf(row);
  if (!floor) return [];
  const y = at.y(floor);
  return [svg("line", { x1: 0, x2: at.width, y1: y, y2: y, class: "floor" })];
}

const lookOf = (order) => (UNCLEAR.includes(order.state) ? "unclear" : order.state);

/** Each rental lies in the first lane that is free when it begins; what finds none lies in the last one. */
function lanes(rentals) {
  const free = Array(LANES.count).fill(-Infinity);
  return rentals.map((order) => {
    const begins = epoch(order.from_at);
    const found = free.findIndex((since) => since <= begins);
    const lane = found < 0 ? LANES.count - 1 : found;
    free[lane] = epoch(order.until_at);
    return { order, lane };
  });
}

const rentalsOf = (row) =>
  row.orders.filter((order) => order.until_at).sort((one, other) => epoch(one.from_at) - epoch(other.from_at));

function drawRentals(row, at) {
  return lanes(rentalsOf(row)).filter(({ order }) => epoch(order.until_at) > at.from).map(({ order, lane }) => {
    const x = at.x(epoch(order.from_at));
    const y = LANES.top + lane * (LANES.height + LANES.gap);
    const width = Math.max(at.x(epoch(order.until_at)) - x - 1, 2);
    return svg("rect", { x, y, width, height: LANES.height, rx: 1.5, class: `rental ${lookOf(order)}` });
  });
}

/** Orders of cycles have no end; each is a mark where it was made. */
function drawCycleOrders(row, at) {
  const y = LANES.top + LANES.height / 2 + 2;
  return row.orders.filter((order) => order.kind === "cycles" && epoch(order.from_at) >= at.from).map((order) => {
    return svg("circle", { cx: at.x(epoch(order.from_at)), cy: y, r: 3.5, class: `cycle-order ${lookOf(order)}` });
  });
}

const shownCalls = (row) => row.calls.filter((call) => call.state !== "cancelled");

function drawCalls(row, at) {
  return shownCalls(row).filter((call) => epoch(call.at) > at.from && epoch(call.at) < at.until).flatMap((call) => {
    const x = at.x(epoch(call.at));
    const held = at.x(epoch(call.needed_by));
    const width = Math.max(at.x(epoch(call.until_at)) - held, 2);
    return [
      svg("rect", { x: held, y: CALLS_AT - 1, width, height: 2, class: `call-held ${call.state}` }),
      svg("line", { x1: x, x2: x, y1: CALLS_AT, y2: PLOT.bottom, class: `call-line ${call.state}` }),
      svg("path", { d: `M${x} ${CALLS_AT - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5z`, class: `call ${call.state}` }),
    ];
  });
}

/** A line through everything that happens at one moment. */
const upright = (x, look, from = PLOT.top) => svg("line", { x1: x, x2: x, y1: from, y2: LANES.top + 20, class: look });

function drawNow(at) {
  const x = at.x(at.now);
  const comes = { x, y: PLOT.top, width: at.width - x, height: PLOT.bottom - PLOT.top, class: "ahead" };
  return [svg("rect", comes), upright(x, "now", 0)];
}

/** Hours of the browser's zone that a quarter of a day begins with. */
function quarters(at) {
  const first = new Date(at.from * 1000);
  first.setMinutes(0, 0, 0);
  const hours = Array.from({ length: 30 }, (_, hour) => first.getTime() / 1000 + hour * HOUR);
  const apart = at.width > 420 ? 3 : 6;
  return hours.filter((hour) => hour >= at.from && hour <= at.until && new Date(hour * 1000).getHours() % apart === 0);
}

function drawHours(at) {
  return quarters(at).flatMap((hour) => {
    const x = at.x(hour);
    const anchor = x < 16 ? "start" : x > at.width - 16 ? "end" : "middle";
    const label = svg("text", { x, y: AXIS_AT, class: "hour", "text-anchor": anchor }, clock(hour, hour));
    return [upright(x, "grid"), label];
  });
}

function drawLabels(row, at) {
  const label = (x, y, anchor, text) => svg("text", { x, y, class: "scale", "text-anchor": anchor }, text);
  const floor = floorOf(row);
  const known = row.lowest.filter((level) => level !== null);
  const top = Math.max(...known, levelNow(row) ?? 0);
  const word = at.width < 420 ? "" : isCycles(row) ? "least " : "floor ";
  return [
    floor ? label(at.width - 2, at.y(floor) - 3, "end", word + number(floor)) : "",
    top ? label(2, at.y(top) - 3, "start", number(top)) : "",
  ];
}

function drawChart(row, overview, width) {
  const at = scales(row, overview, width);
  return svg(
    "svg",
    { width, height: CHART_HEIGHT, viewBox: `0 0 ${width} ${CHART_HEIGHT}`, "aria-hidden": "true", focusable: "false" },
    ...drawHours(at), ...drawLevels(row, at), ...drawBelow(row, at), ...drawFailures(row, at),
    ...drawFloor(row, at), ...drawNow(at), ...drawRentals(row, at), ...drawCycleOrders(row, at), ...drawCalls(row, at),
    ...drawLabels(row, at),
  );
}

/** The chart in one sentence, for who does not see it. */
function summary(row, overview) {
  const known = row.lowest.filter((level) => level !== null);
  const gaps = row.lowest.length - known.length;
  const parts = [`${isCycles(row) ? "Cycles" : "Energy"} over the last 24 hours`];
  parts.push(known.length ? `lowest ${number(Math.min(...known))}, now ${number(levelNow(row))}` : "nothing is known");
  if (floorOf(row)) parts.push(`floor ${number(floorOf(row))}`);
  if (row.below.length) parts.push(`below it in ${row.below.length} of ${row.lowest.length} stretches`);
  if (gaps) parts.push(`nothing known for ${lasting(gaps * overview.stretch_seconds)}`);
  parts.push(plural(rentalsOf(row).length, "rental", "rentals"), plural(shownCalls(row).length, "call", "calls"));
  return parts.join("; ") + ".";
}

// --- what is at one moment ------------------------------------------------------------------------------------------

const STATES = {
  intended: "about to be sent", sent: "on its way to Netts", unresolved: "unclear whether Netts took it",
  placed: "taken by Netts, not on chain yet", delivered: "on chain", undelivered: "paid for and never seen on chain",
  expired: "its hour is over", added: "cycles are there",
};

function rentalsAt(row, begins, ends) {
  return row.orders.filter((order) =>
    epoch(order.from_at) <= ends && (order.until_at ? epoch(order.until_at) : epoch(order.from_at)) >= begins);
}

function orderLine(order) {
  const what = order.kind === "cycles" ? plural(order.cycles, "cycle", "cycles") : number(order.energy);
  const when = clock(epoch(order.from_at)) + (order.until_at ? `–${clock(epoch(order.until_at))}` : "");
  const cost = (order.is_charged ? "" : "at most ") + money(order.cost_sun);
  return `rented ${what}, ${when}, ${cost}: ${STATES[order.state] ?? order.state}`;
}

function callLine(call) {
  const energy = call.energy === null ? "energy not known yet" : number(call.energy);
  return `call ${call.call} at ${clock(epoch(call.at))}, ${energy}: ${call.state}`;
}

/** What the tooltip says about a moment: a heading and lines. */
function told(row, overview, moment) {
  const at = scales(row, overview, 1);
  const place = Math.floor((moment - at.from) / at.step);
  const begins = at.from + place * at.step;
  const ends = begins + at.step;
  const lines = [];
  if (begins <= at.now) lines.push(levelLine(row, place, ends > at.now));
  lines.push(...rentalsAt(row, begins, Math.min(ends, Math.max(begins, at.now))).map(orderLine));
  const near = shownCalls(row).filter((call) => epoch(call.needed_by) <= ends && epoch(call.until_at) >= begins);
  lines.push(...near.map(callLine));
  return { heading: `${clock(begins)}–${clock(ends)}`, utc: inUtc(begins), lines };
}

function levelLine(row, place, isNow) {
  const level = isNow ? levelNow(row) : row.lowest[place];
  if (level === null) return isNow || row.unread.includes(place) ? "could not be read" : "nobody looked";
  const below = row.below.includes(place) && level < floorOf(row) ? ", below the floor" : "";
  const failed = row.unread.includes(place) && !isNow ? "; a reading failed" : "";
  return `${isNow ? "now" : "lowest"} ${amount(row, level)}${below}${failed}`;
}
