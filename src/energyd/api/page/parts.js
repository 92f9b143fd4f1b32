"use strict";
// What everything on the page is built of. Whatever was answered becomes text, never HTML.

const byId = (id) => document.getElementById(id);

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

const reasonOf = (decision) => make("span", { className: "reason" }, readable(decision.reason));

const actionOf = (decision) =>
  make("span", { className: `action ${decision.action}` }, readable(decision.action));
