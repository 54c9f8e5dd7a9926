// Two minutes of samples in rings, drawn as SVG: sparklines in rows and charts with a scale. Drawing changes one attribute per line.

import { make, quantity, setText } from "./format.js";

export const WINDOW_MS = 120_000;
const CAPACITY = 256;
// A hole in time longer than this is left open, as when the connection was lost.
const BREAK_MS = 2500;
const SVG = "http://www.w3.org/2000/svg";

/** The last samples of several named series that share their times. */
export class Ring {
  constructor(names) {
    this.names = names;
    this.times = new Float64Array(CAPACITY);
    this.series = Object.fromEntries(names.map((name) => [name, new Float64Array(CAPACITY)]));
    this.head = 0;
    this.length = 0;
  }

  /** Adds a sample; what is null or missing becomes a hole. */
  push(time, values) {
    this.times[this.head] = time;
    for (const name of this.names) this.series[name][this.head] = values[name] ?? NaN;
    this.head = (this.head + 1) % CAPACITY;
    this.length = Math.min(this.length + 1, CAPACITY);
  }

  /** Calls `visit(time, value)` for the samples since `from`, oldest first. */
  since(from, name, visit) {
    const values = this.series[name];
    for (let i = this.length; i > 0; i--) {
      const at = (this.head - i + CAPACITY) % CAPACITY;
      if (this.times[at] >= from) visit(this.times[at], values[at]);
    }
  }

  max(now, name) {
    let max = 0;
    this.since(now - WINDOW_MS, name, (_, value) => { if (value > max) max = value; });
    return max;
  }
}

/** The path of one series in a box of `width` by `height`, with `max` at the top. */
export function linePath(ring, name, now, width, height, max) {
  let path = "";
  let last = -Infinity;
  const top = max > 0 ? max : 1;
  ring.since(now - WINDOW_MS, name, (time, value) => {
    if (Number.isNaN(value)) {
      last = -Infinity;
      return;
    }
    const x = (width * (1 - (now - time) / WINDOW_MS)).toFixed(1);
    const y = (height - 1 - (height - 2) * Math.min(1, value / top)).toFixed(1);
    path += time - last > BREAK_MS ? `M${x} ${y}h.1` : `L${x} ${y}`;
    last = time;
  });
  return path;
}

/** A line without a scale, for a row. */
export class Sparkline {
  constructor(width = 96, height = 20) {
    this.width = width;
    this.height = height;
    this.path = svg("path", { class: "line" });
    this.element = svg("svg", {
      class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true",
    });
    this.element.append(this.path);
  }

  draw(ring, name, now) {
    this.path.setAttribute("d", linePath(ring, name, now, this.width, this.height, ring.max(now, name)));
  }
}

/** A chart of one or two series over the last two minutes, with its present value and the top of its scale. */
export class Chart {
  constructor(title, series, format) {
    this.series = series;
    this.format = format;
    this.scale = make("span", { class: "scale" });
    this.lines = series.map((_, i) => svg("path", { class: `line line-${i}` }));
    this.values = series.map(() => quantity());
    const plot = svg("svg", { viewBox: "0 0 400 64", preserveAspectRatio: "none", "aria-hidden": "true" });
    plot.append(svg("path", { class: "grid", d: "M0 63.5H400M0 1H400M100 0V64M200 0V64M300 0V64" }), ...this.lines);
    const values = make("span", { class: "chart-values" });
    series.forEach(({ label }, i) => {
      const entry = make("span", { class: `entry entry-${i}` });
      if (label) entry.append(make("span", { class: "label" }, label));
      entry.append(this.values[i].element);
      values.append(entry);
    });
    this.element = make("figure", { class: "chart" },
      make("figcaption", {}, make("span", { class: "chart-title" }, title), values),
      make("div", { class: "plot" }, plot, this.scale),
      make("div", { class: "axis", "aria-hidden": "true" }, make("span", {}, "2 min ago"), make("span", {}, "now")));
  }

  draw(ring, now, present) {
    let max = 0;
    for (const { name } of this.series) max = Math.max(max, ring.max(now, name));
    const top = niceAbove(max);
    this.series.forEach(({ name }, i) => {
      this.lines[i].setAttribute("d", linePath(ring, name, now, 400, 64, top));
      this.values[i].set(this.format(present[name]));
    });
    const [number, unit] = this.format(top);
    setText(this.scale, `${number.replace(/\.?0+$/, (zeros) => (number.includes(".") ? "" : zeros))}\u2009${unit}`);
  }
}

/** The least of 1, 2, 5 times a power of ten that is not below `value`: the scale changes seldom. */
export function niceAbove(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5]) if (value <= step * power) return step * power;
  return 10 * power;
}

export function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
