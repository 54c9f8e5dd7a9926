// State documents (docs/WIRE.md, section 6): the receiver's copy, and the deltas that change it. A delta is first read and
// checked against the document, which yields a list of operations; only when all of it fits are they carried out.
//
// A node is null, a boolean, a number (or a bigint, where a double would not be exact), a string, a Uint8Array, a MapNode or a ListNode.

import { Reader, unzigzag, WireError } from "./bytes.js";
import {
  BitReader, decimal, difference, flipped, float, SCALE_MAX, splice, STEP_BITS, STEP_INTEGER, stepKind, stepped,
} from "./numbers.js";

const MAX_DEPTH = 128;

// What happens to an entry: the low three bits of its head.
const [SET, REMOVE, MAP, LIST, INTEGER, NUMBER, SPLICE, TABLE] = [0, 1, 2, 3, 4, 5, 6, 7];

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
    const lead = reader.uint();
    const version = base + Math.floor(lead / 16) + 1;
    if (BigInt(epoch) !== BigInt.asUintN(32, this.epoch)) throw new WireError("another epoch");
    if (base !== this.version) throw new WireError(`needs version ${base}, holds ${this.version}`);
    if (version > Number.MAX_SAFE_INTEGER) throw new WireError("a version beyond 2^53");
    const hasKeys = lead % 16 >= 8;
    if (hasKeys && reader.uint() !== this.keys.length) throw new WireError("the keys do not go on from those that are held");
    const keys = hasKeys ? readKeys(reader, reader.count()) : [];
    const plan = new Plan(reader, this.keys.length + keys.length);
    const root = plan.change(lead % 8, this.root, 0);
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
  }

  /** What becomes of `current` by an operation other than REMOVE and TABLE: the node that replaces it, or INNER when its entries change. */
  change(op, current, depth) {
    const { reader } = this;
    switch (op) {
      case SET: return this.node(depth);
      case INTEGER: return this.#step(current, STEP_INTEGER);
      case NUMBER: return this.#step(current, stepKind(reader.u8()));
      case SPLICE: return splice(current, reader.uint(), reader.uint(), reader.slice(reader.uint()));
    }
    if (depth >= MAX_DEPTH) throw new WireError("nested too deep");
    if (op === MAP && current instanceof MapNode) {
      this.#changes(this.#inMap(current), false, depth);
    } else if (op === LIST && current instanceof ListNode) {
      const head = reader.uint();
      const count = Math.floor(head / 2);
      if (count > reader.remaining) throw new WireError("more pieces than bytes");
      const order = count > 0 ? this.#order(current, count, depth) : undefined;
      if (head % 2 === 1) this.#changes(inList(current, order), true, depth);
    } else {
      throw new WireError(`change ${op} does not fit`);
    }
    return INNER;
  }

  #changes(target, isList, depth) {
    const { reader } = this;
    let next = 0;
    for (let left = reader.count(); left > 0; left--) {
      const head = reader.uint();
      const op = head % 8;
      const index = next + Math.floor(head / 8);
      if (index >= target.end) throw new WireError(`entry ${index} of ${target.end}`);
      next = index + 1;
      if (op === REMOVE) {
        if (isList) throw new WireError("elements are not removed so");
        // A delta over several versions may remove what came and went in between: then nothing happens.
        this.#plan(target, index, REMOVED);
      } else if (op === TABLE) {
        this.#table(target, index);
      } else {
        const current = target.get(index);
        if (isList && current === undefined) throw new WireError(`no element ${index}`);
        this.#plan(target, index, this.change(op, current, depth + 1));
      }
    }
  }

  #plan(target, index, node) {
    if (target.told.has(index)) throw new WireError(`entry ${index} is told twice`);
    target.told.add(index);
    this.operations.push({ container: target.container, key: target.at(index), node });
  }

  /** The entries of a map, by key number, and which of them are told already. */
  #inMap(map) {
    return { container: map, at: (key) => key, get: (key) => map.entries.get(key), end: this.keyCount, told: new Set() };
  }

  /** Entries of which the same numbers change, one row for each, in blocks of 32. */
  #table(target, first) {
    const { reader } = this;
    const head = reader.uint();
    if (head === 1 || head > 33) throw new WireError("a table has 1 to 16 columns");
    const columns = head === 0 ? this.#columns(1, 1) : this.#columns(head >> 1, head % 2 === 1 ? Infinity : this.keyCount);
    const rows = reader.uint();
    const bits = new BitReader(reader);
    let index = first;
    for (let done = 0; done < rows; done += 32) {
      const spacing = bits.take(4);
      const fields = columns.map((column) => ({ ...column, ...field(bits, column.kind) }));
      for (let left = Math.min(32, rows - done); left > 0; left--, index++) {
        if (spacing > 0) index += bits.rice(spacing - 1);
        if (index >= target.end) throw new WireError(`entry ${index} of ${target.end}`);
        this.#row(target, index, head, fields.map(({ key, kind, shift, width }) => ({ key, kind, shift, number: bits.take(width) })));
      }
    }
    bits.finish();
  }

  /** Which numbers change in a table, below `end`. */
  #columns(count, end) {
    const columns = [];
    let next = 0;
    for (let left = count; left > 0; left--) {
      const column = this.reader.uint();
      const key = next + Math.floor(column / 16);
      if (key >= end) throw new WireError(`column ${key} of ${end}`);
      columns.push({ key, kind: stepKind(column % 16) });
      next = key + 1;
    }
    return columns;
  }

  /** What a row changes: the number itself, or numbers in a map or list. Those that step by 0 do not change. */
  #row(target, index, head, cells) {
    const current = target.get(index);
    const changed = cells.filter(({ number }) => number !== 0);
    if (changed.length === 0) return;
    if (head === 0) return this.#plan(target, index, moved(current, changed[0]));
    if (!(current instanceof (head % 2 === 1 ? ListNode : MapNode))) throw new WireError("a row does not fit");
    const inner = current instanceof MapNode ? this.#inMap(current) : inList(current);
    for (const cell of changed) this.#plan(inner, cell.key, moved(inner.get(cell.key), cell));
    this.#plan(target, index, INNER);
  }

  #step(current, kind) {
    if (kind === STEP_BITS) return flipped(current, difference(this.reader));
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

/** The elements of a list by index, in its new order if it has one, and which of them are told already. */
function inList(list, { ids, kept } = { ids: list.ids, kept: list.entries }) {
  const get = (index) => (kept.has(ids[index]) ? list.entries.get(ids[index]) : undefined);
  return { container: list, at: (index) => ids[index], get, end: ids.length, told: new Set() };
}

/** Where a block has the bits of its numbers in one column. */
function field(bits, kind) {
  const shift = kind === STEP_BITS ? bits.take(6) : 0;
  const width = bits.take(6) + 1;
  if (shift + width > 64) throw new WireError(`numbers of ${shift + width} bits`);
  return { shift, width };
}

/** The number that a table's cell leads to. */
function moved(current, { kind, shift, number }) {
  return kind === STEP_BITS ? flipped(current, BigInt(number) << BigInt(shift)) : stepped(current, kind, unzigzag(number));
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
