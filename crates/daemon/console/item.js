// A row of the document tree, and how values look in it: one line each, numbers with a fixed point.

import { hex, make, plain, setText, signed } from "./format.js";
import { ListNode, MapNode } from "./wire.js";

const PREVIEW_ENTRIES = 5;
// Numbers in a preview line up with those of the row above.
const PREVIEW_WIDTH = 7;
const DECIMALS_MAX = 3;
const TEXT_MAX = 400;
// Nobody reads more rows of one branch, and some 16,000 take a browser a second to make.
export const ROWS_MAX = 1000;
// A map of more keys is not sorted whole for each change of its keys.
const SORTED_MAX = 4096;
const COLLATOR = new Intl.Collator("en", { numeric: true });

/** One row: a leaf, or a branch whose `group` is null while it is closed. The root has no row. */
export class Item {
  constructor(parent, key, label, path, node, depth) {
    Object.assign(this, { parent, key, label, path, node, depth, group: null, rest: null, children: null, changes: null, hotFrom: 0, hotUntil: 0, busy: false });
    this.branch = isBranch(node);
    this.decimals = 0;
    if (parent === null) return;
    this.value = make("span", { class: "value", "data-value": "" });
    this.element = make("div", { role: "treeitem", tabindex: "-1", "data-path": path, "aria-level": String(depth) },
      make("div", { class: "row" }, make("span", { class: "key" }, plain(label)), this.value));
    this.element.firstChild.style.setProperty("--depth", depth - 1);
    if (this.branch) this.element.setAttribute("aria-expanded", "false");
  }

  write(node) {
    this.node = node;
    // A number keeps the most decimals it has had: the point stays where it is.
    if (typeof node === "number" && !Number.isInteger(node)) this.decimals = Math.max(this.decimals, decimals(node));
    const type = node === null ? "null" : node instanceof Uint8Array ? "bytes" : typeof node;
    if (this.type !== type) {
      this.type = type;
      this.value.className = `value ${type}`;
    }
    setText(this.value, leaf(node, this.decimals));
  }
}

export function isBranch(node) {
  return node instanceof MapNode || node instanceof ListNode;
}

/** The first entries of a branch, which get rows, as [key, label, value] in their order; and how many are left. */
export function rowsOf(node, keys) {
  const all = node.entries.size;
  let entries;
  if (node instanceof ListNode) {
    entries = node.ids.slice(0, ROWS_MAX).map((id, i) => [id, String(i), node.entries.get(id)]);
  } else {
    entries = [];
    for (const [key, value] of node.entries) {
      if (all > SORTED_MAX && entries.length === ROWS_MAX) break;
      entries.push([key, keys[key], value]);
    }
    entries = entries.sort((a, b) => COLLATOR.compare(a[1], b[1])).slice(0, ROWS_MAX);
  }
  return { entries, left: all - entries.length };
}

/** A branch in a word, such as `{3 keys}`. */
export function size(node) {
  const entries = node.entries.size;
  if (node instanceof ListNode) return entries === 1 ? "[1 item]" : `[${entries} items]`;
  return entries === 1 ? "{1 key}" : `{${entries} keys}`;
}

/** The first scalars of a branch, on one line; empty when it has none. */
export function preview(node, keys) {
  const parts = [];
  const list = node instanceof ListNode;
  for (const [key, value] of node.entries) {
    if (isBranch(value)) continue;
    if (parts.length === PREVIEW_ENTRIES) break;
    const text = typeof value === "number" ? leaf(value, 2).padStart(PREVIEW_WIDTH) : leaf(value, 2);
    parts.push(list ? text : `${plain(keys[key])} ${text}`);
  }
  return parts.join(list ? ", " : "  ");
}

function leaf(node, digits) {
  if (node === null) return "null";
  if (typeof node === "number") return signed(number(node, digits));
  if (typeof node === "string") return plain(JSON.stringify(node.length > TEXT_MAX ? `${node.slice(0, TEXT_MAX)}…` : node));
  if (node instanceof Uint8Array) return `${node.length} B  ${hex(node.subarray(0, 16))}${node.length > 16 ? " …" : ""}`;
  return String(node);
}

function number(value, digits) {
  if (digits === 0 && Number.isSafeInteger(value)) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 1e15 || (magnitude > 0 && magnitude < 5e-4)) return value.toExponential(2);
  return value.toFixed(digits || DECIMALS_MAX);
}

/** Decimals worth showing. A double that was once a 32-bit float has noise beyond them. */
function decimals(value) {
  for (let digits = 1; digits < DECIMALS_MAX; digits++) {
    if (Math.abs(value - Number(value.toFixed(digits))) <= 1e-7 * Math.abs(value)) return digits;
  }
  return DECIMALS_MAX;
}

/** A segment of a path, so that what is in it can't be taken for a separator. */
export function escape(segment) {
  return segment.replaceAll("~", "~0").replaceAll("/", "~1");
}
