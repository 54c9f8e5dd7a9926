// Numbers as an instrument shows them: three significant digits, and the unit apart, so that both can be aligned.
// Every function returns [number, unit]. Also the few DOM shorthands that all views share.

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const NOTHING = ["–", ""];
const MINUS = "\u2212";
// Not the joiners, of which letters and emoji of some scripts are made.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function rate(perSecond) {
  return scaled(perSecond, ["/s", "k/s", "M/s", "G/s"]);
}

export function byteRate(perSecond) {
  return scaled(perSecond, ["B/s", "kB/s", "MB/s", "GB/s"]);
}

export function bytes(count) {
  return scaled(count, ["B", "kB", "MB", "GB", "TB"], true);
}

export function count(value) {
  if (!isNumber(value)) return NOTHING;
  return value < 1e6 ? [GROUPED.format(value), ""] : scaled(value, ["", "k", "M", "G", "T"]);
}

export function milliseconds(value) {
  if (!isNumber(value)) return NOTHING;
  if (value >= 100_000) return duration(value / 1000);
  return value < 999.5 ? [significant(value), "ms"] : [significant(value / 1000), "s"];
}

export function duration(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  if (seconds < 120) return [String(Math.floor(seconds)), "s"];
  if (seconds < 7200) return [String(Math.floor(seconds / 60)), "min"];
  if (seconds < 172_800) return [String(Math.floor(seconds / 3600)), "h"];
  return [String(Math.floor(seconds / 86_400)), "d"];
}

export function hertz(value) {
  return scaled(value, ["Hz", "kHz", "MHz"]);
}

/** Counts by reason, largest first, as `expired 12, overrun 3`. */
export function reasons(drops) {
  return Object.entries(drops ?? {})
    .filter(([, lost]) => lost > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([reason, lost]) => `${reason.replaceAll("_", " ")} ${count(lost).join("")}`)
    .join(", ");
}

export function total(drops) {
  let sum = 0;
  for (const lost of Object.values(drops ?? {})) sum += Number(lost);
  return sum;
}

export function clockTime(ms) {
  const at = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

export function signed(text) {
  return text.replace("-", MINUS);
}

/** Somebody else's text within a line: what hides, or turns the direction in which the line is read, is shown as an escape. */
export function plain(text) {
  return text.replaceAll(UNSEEN, (unseen) => `\\u{${unseen.codePointAt(0).toString(16)}}`);
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** Now, in milliseconds since the Unix epoch, finer than Date.now(). */
export function unixNow() {
  return performance.timeOrigin + performance.now();
}

function scaled(value, units, whole = false) {
  if (!isNumber(value)) return NOTHING;
  let scale = 0;
  let rest = Number(value);
  while (rest >= 999.5 && scale < units.length - 1) {
    rest /= 1000;
    scale += 1;
  }
  return [whole && scale === 0 ? String(Math.round(rest)) : significant(rest), units[scale]];
}

function significant(value) {
  if (value === 0) return "0";
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

function isNumber(value) {
  return typeof value === "number" || typeof value === "bigint";
}

/** Makes an element: `make("td", { class: "n", "data-cell": "rate" }, child, "text")`. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets text only where it differs, and in the node that is there: an unchanged one costs no layout. */
export function setText(element, text) {
  const only = element.firstChild;
  if (only === null || only.nodeType !== Node.TEXT_NODE || only !== element.lastChild) element.textContent = text;
  else if (only.nodeValue !== text) only.nodeValue = text;
}

/** A place for a number and its unit. */
export function quantity() {
  const number = make("b");
  const unit = make("i");
  const element = make("span", { class: "quantity" }, number, unit);
  return { element, set: ([value, symbol]) => { setText(number, value); setText(unit, symbol); } };
}
