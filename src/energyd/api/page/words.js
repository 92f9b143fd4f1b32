"use strict";
// Numbers, money, times and addresses in words. Money comes as whole sun and is never computed as a fraction.

const SUN_DIGITS = 6; // 1 TRX = 1,000,000 sun
const THIN_SPACE = "\u202f";
const MINUTE = 60, HOUR = 3600, DAY = 86400; // seconds

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);

const number = (value) => (value === null ? "–" : (value < 0 ? "−" : "") + grouped(String(Math.abs(value))));

/** The exact amount of TRX for whole sun: 2130000 -> "2.13". */
function trx(sun) {
  const digits = String(Math.abs(sun)).padStart(SUN_DIGITS + 1, "0");
  const parts = digits.slice(-SUN_DIGITS).replace(/0+$/, "");
  return (sun < 0 ? "−" : "") + grouped(digits.slice(0, -SUN_DIGITS)) + (parts && "." + parts);
}

const money = (sun) => (sun === null ? "–" : trx(sun) + " TRX");

/** A share of a whole in tenths of a percent, from whole sun; null where there is no whole. */
const share = (part, whole) => (whole ? Number((BigInt(part) * 1000n) / BigInt(whole)) / 10 : null);

const epoch = (text) => Date.parse(text) / 1000;

const UNITS = [["day", DAY], ["h", HOUR], ["min", MINUTE], ["s", 1]];

/** The two greatest parts of a length of time: 5400 -> "1 h 30 min". */
function lasting(seconds) {
  let rest = Math.max(Math.round(seconds), 0);
  const parts = [];
  for (const [name, size] of UNITS) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount) parts.push(`${amount} ${name}${name === "day" && amount > 1 ? "s" : ""}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** One part only: 5400 -> "1 h". */
const roughly = (seconds) => lasting(seconds).split(" ").slice(0, 2).join(" ");

const ago = (seconds) => (seconds < 2 ? "just now" : `${roughly(seconds)} ago`);

const two = (value) => String(value).padStart(2, "0");

/** A time of the day in the browser's zone; with the day when that is another one than today. */
function clock(seconds, now = Date.now() / 1000, withSeconds = false) {
  const then = new Date(seconds * 1000);
  const time = `${two(then.getHours())}:${two(then.getMinutes())}` + (withSeconds ? `:${two(then.getSeconds())}` : "");
  if (then.toDateString() === new Date(now * 1000).toDateString()) return time;
  return `${then.toLocaleDateString(undefined, { day: "numeric", month: "short" })} ${time}`;
}

const inUtc = (seconds) => new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 19) + " UTC";

const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

const readable = (word) => word.replaceAll("_", " ");
