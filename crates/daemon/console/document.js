// State documents (docs/WIRE.md, section 6): the receiver's copy, and the deltas that change it. A delta is first read and
// checked against the document, which yields a list of operations; only when all of it fits are they carried out.
//
// A node is null, a boolean, a number (or a bigint, where a double would not be exact), a string, a Uint8Array, a MapNode or a ListNode.

import { Reader, WireError } from "./bytes.js";
import {
  bitsAt, decimal, flipped, float, RUN, SCALE_MAX, splice, STEP_BITS, STEP_INTEGER, stepKind, stepped, unzigzag,
} from "./numbers.js";

const MAX_DEPTH = 128;

// What happens to an entry: the low three bits of its head.
const [SET, REMOVE, MAP, LIST, INTEGER, NUMBER, SPLICE, ROW] = [0, 1, 2, 3, 4, 5, 6, 7];

/** In an operation: the entry goes away. */
export const REMOVED = Symbol("removed");
/** In an operation: the entry stays, something below it changes. */
export const INNER = Symbol("inner");

/** A map, by key number. */
export class MapNode {
  constructor() {
    this.entries = new Map();
  }
}

/** A list: elements by id, and the ids in order. Ids are this copy's own, so that an element which moves is known again. */
export class ListNode {
  constructor(nodes = []) {
    this.ids = nodes.map((_, i) => i);
    this.entries = new Map(nodes.map((node, i) => [i, node]));
    this.next = nodes.length;
  }
}

export class StateDocument {
  constructor() {
    this.epoch = 0n;
    this.version = 0;
    this.keys = [];
    this.root = new MapNode();
  }

  /**
   * Applies a state message's payload, whole or not at all. Returns the operations that were carried out, each
   * `{ container, key, node }`: key number or element id, the new node, REMOVED or INNER; the key is null when a list's
   * order changed. Null says that the root was replaced. Throws a WireError when the payload is malformed or does not fit.
   */
  apply(payload, snapshot) {
    const reader = new Reader(payload);
    return snapshot ? this.#applySnapshot(reader) : this.#applyDelta(reader);
  }

  #applySnapshot(reader) {
    const epoch = reader.u64();
    const version = reader.uint();
    const keys = readKeys(reader, reader.count());
    const root = new Plan(reader, keys.length).node(0);
    reader.finish();
    Object.assign(this, { epoch, version, keys, root });
    return null;
  }

  #applyDelta(reader) {
    const epoch = reader.u32();
    const base = reader.uint();
    const version = base + reader.uint();
    if (BigInt(epoch) !== BigInt.asUintN(32, this.epoch)) throw new WireError("another epoch");
    if (base !== this.version) throw new WireError(`needs version ${base}, holds ${this.version}`);
    if (version <= base || version > Number.MAX_SAFE_INTEGER) throw new WireError("the version does not advance");
    const count = reader.count();
    if (count > 0 && reader.uint() !== this.keys.length) throw new WireError("the keys do not go on from those that are held");
    const keys = readKeys(reader, count);
    const plan = new Plan(reader, this.keys.length + keys.length);
    const root = plan.root(this.root);
    reader.finish();

    this.version = version;
    for (const key of keys) this.keys.push(key);
    for (const operation of plan.operations) carryOut(operation);
    if (root === INNER) return plan.operations;
    this.root = root;
    return null;
  }
}

function readKeys(reader, count) {
  const keys = [];
  for (let left = count; left > 0; left--) keys.push(reader.text(255));
  return keys;
}

/** Reads a change against what is there, without touching it. */
class Plan {
  constructor(reader, keyCount) {
    this.reader = reader;
    this.keyCount = keyCount;
    this.operations = [];
    // The last row that was told in full: `{ inList, cells: [{ index, kind }] }`.
    this.row = null;
  }

  root(current) {
    const op = this.reader.uint();
    if (op === REMOVE) throw new WireError("the root is not removed");
    if (op === NUMBER) return this.#step(current, stepKind(this.reader.u8()));
    return this.change(op, current, 0);
  }

  /** What becomes of `current` by an operation other than REMOVE and NUMBER: the node that replaces it, or INNER when its entries change. */
  change(op, current, depth) {
    const { reader } = this;
    switch (op) {
      case SET: return this.node(depth);
      case INTEGER: return this.#step(current, STEP_INTEGER);
      case SPLICE: return splice(current, reader.uint(), reader.uint(), reader.slice(reader.uint()));
    }
    if (depth >= MAX_DEPTH) throw new WireError("nested too deep");
    const row = op === ROW ? this.row : null;
    if ((op === MAP || (row && !row.inList)) && current instanceof MapNode) {
      const target = { container: current, at: (key) => key, get: (key) => current.entries.get(key), end: this.keyCount };
      if (row) this.#row(row, target);
      else this.#changes(target, false, true, depth);
    } else if ((op === LIST || row) && current instanceof ListNode) {
      const count = row ? 0 : reader.count();
      const { ids, kept } = count > 0 ? this.#order(current, count, depth) : { ids: current.ids, kept: current.entries };
      const get = (index) => (kept.has(ids[index]) ? current.entries.get(ids[index]) : undefined);
      const target = { container: current, at: (index) => ids[index], get, end: ids.length };
      if (row) this.#row(row, target);
      else this.#changes(target, true, count === 0, depth);
    } else {
      throw new WireError(`change ${op} does not fit`);
    }
    return INNER;
  }

  #changes(target, inList, canBeRow, depth) {
    const { reader } = this;
    let next = 0;
    let cells = canBeRow ? [] : null;
    for (let left = reader.count(); left > 0; left--) {
      const head = reader.uint();
      const op = head % 8;
      const index = next + Math.floor(head / 8);
      if (index >= target.end) throw new WireError(`entry ${index} of ${target.end}`);
      next = index + 1;
      if (op === REMOVE) {
        if (inList) throw new WireError("elements are not removed so");
        // A delta over several versions may remove what came and went in between: then nothing happens.
        this.#plan(target, index, REMOVED);
        cells = null;
      } else if (op === NUMBER || op === INTEGER) {
        const code = op === NUMBER ? reader.u8() : STEP_INTEGER;
        if (op === NUMBER && code & RUN) {
          next = index + this.#run(target, index, stepKind(code & ~RUN));
          cells = null;
        } else {
          const kind = stepKind(code);
          this.#plan(target, index, this.#step(target.get(index), kind));
          cells?.push({ index, kind });
        }
      } else {
        const current = target.get(index);
        if (inList && current === undefined) throw new WireError(`no element ${index}`);
        this.#plan(target, index, this.change(op, current, depth + 1));
        cells = null;
      }
    }
    if (cells && cells.length >= 2 && cells.length <= 16) this.row = { inList, cells };
  }

  #plan(target, index, node) {
    this.operations.push({ container: target.container, key: target.at(index), node });
  }

  #row(row, target) {
    for (const { index, kind } of row.cells) this.#plan(target, index, this.#step(target.get(index), kind));
  }

  /** Numbers that change one beside the other; those that step by zero do not. Returns how many places that takes. */
  #run(target, first, kind) {
    const { reader } = this;
    if (kind === STEP_BITS) throw new WireError("a run of bits");
    const count = reader.uint(target.end - first);
    for (let done = 0; done < count; done += 32) {
      const inBlock = Math.min(32, count - done);
      const width = reader.u8();
      if (width < 1 || width > 32) throw new WireError(`steps of ${width} bits`);
      const bytes = reader.slice(Math.ceil((inBlock * width) / 8));
      for (let i = 0; i < inBlock; i++) {
        const by = unzigzag(bitsAt(bytes, i * width, width));
        const index = first + done + i;
        if (by !== 0) this.#plan(target, index, stepped(target.get(index), kind, by));
      }
    }
    return count;
  }

  #step(current, kind) {
    if (kind === STEP_BITS) return flipped(current, this.reader);
    return stepped(current, kind, this.reader.zigzag());
  }

  /** The new order of a list: its ids, and the old ids that stay. */
  #order(list, count, depth) {
    const { reader } = this;
    const ids = [];
    const kept = new Set();
    let [expected, next, fresh] = [0, list.next, 0];
    for (let left = count; left > 0; left--) {
      const head = reader.uint();
      const length = Math.floor(head / 2);
      if (head % 2 === 1) {
        fresh += length;
        if (fresh > reader.remaining) throw new WireError("more new elements than bytes");
        for (let i = 0; i < length; i++) ids.push(next++);
        continue;
      }
      const from = expected + Number(reader.zigzag());
      if (length === 0 || from < 0 || from + length > list.ids.length) throw new WireError("a piece is out of range");
      for (const id of list.ids.slice(from, from + length)) {
        if (kept.has(id)) throw new WireError("an element stands twice");
        kept.add(id);
        ids.push(id);
      }
      expected = from + length;
    }
    const entries = new Map();
    for (const id of ids) entries.set(id, kept.has(id) ? list.entries.get(id) : this.node(depth + 1));
    this.operations.push({ container: list, key: null, node: { ids, entries, next } });
    return { ids, kept };
  }

  node(depth) {
    if (depth > MAX_DEPTH) throw new WireError("nested too deep");
    const { reader } = this;
    const tag = reader.u8();
    if (tag >= 0x80) return tag - 0xc0;
    if (tag >= 0x10 && tag <= 0x10 + SCALE_MAX) return decimal(Number(reader.zigzag()), tag - 0x10);
    switch (tag) {
      case 0x00: return null;
      case 0x01: return false;
      case 0x02: return true;
      case 0x03: return reader.zigzag();
      case 0x04: return float(reader.f64());
      case 0x05: return float(reader.f32());
      case 0x06: return reader.text();
      // Copied: a view would keep the whole message alive for as long as the document.
      case 0x07: return reader.slice(reader.uint()).slice();
      case 0x08: return this.#list(depth);
      case 0x09: return this.#map(depth);
      default: throw new WireError(`value 0x${tag.toString(16)}`);
    }
  }

  #map(depth) {
    const map = new MapNode();
    let next = 0;
    for (let left = this.reader.count(2); left > 0; left--) {
      const key = next + this.reader.uint();
      if (key >= this.keyCount) throw new WireError(`key ${key} of ${this.keyCount}`);
      next = key + 1;
      map.entries.set(key, this.node(depth + 1));
    }
    return map;
  }

  #list(depth) {
    const nodes = [];
    for (let left = this.reader.count(); left > 0; left--) nodes.push(this.node(depth + 1));
    return new ListNode(nodes);
  }
}

function carryOut({ container, key, node }) {
  if (node === INNER) return;
  if (key === null) {
    Object.assign(container, node);
  } else if (node === REMOVED) {
    container.entries.delete(key);
  } else {
    container.entries.set(key, node);
  }
}

/** A node as plain objects and arrays. Objects have no prototype: keys are the publisher's. */
export function toPlain(node, keys) {
  if (node instanceof MapNode) {
    const plain = Object.create(null);
    for (const [key, value] of node.entries) plain[keys[key]] = toPlain(value, keys);
    return plain;
  }
  if (node instanceof ListNode) return node.ids.map((id) => toPlain(node.entries.get(id), keys));
  return node;
}
