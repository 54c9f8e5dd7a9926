// State documents (docs/WIRE.md, section 6): the receiver's copy, and the deltas that change it. A delta is first read and
// checked against the document, which yields a list of operations; only when all of it fits are they carried out.
//
// A node is null, a boolean, a number (or a bigint, where a double would not be exact), a string, a Uint8Array, a MapNode or a ListNode.

import { Reader, WireError } from "./bytes.js";

const MAX_DEPTH = 128;

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

/** A list: element ids in order, elements by id. */
export class ListNode {
  constructor() {
    this.ids = [];
    this.entries = new Map();
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
    const epoch = reader.u64();
    const base = reader.uint();
    const version = reader.uint();
    const firstKey = reader.uint();
    if (snapshot) {
      if (base !== 0) throw new WireError("a snapshot has no base");
    } else {
      if (epoch !== this.epoch) throw new WireError("another epoch");
      if (base !== this.version) throw new WireError(`needs version ${base}, holds ${this.version}`);
      if (version <= base) throw new WireError("the version does not advance");
    }
    const table = snapshot ? [] : this.keys;
    if (firstKey !== table.length) throw new WireError(`keys from ${firstKey}, holds ${table.length}`);
    const added = [];
    for (let left = reader.count(); left > 0; left--) added.push(reader.text(255));
    const plan = new Plan(reader, table.length + added.length);
    if (snapshot) plan.expectSet();
    const root = plan.change(snapshot ? null : this.root, false, 0);
    reader.finish();

    this.epoch = epoch;
    this.version = version;
    this.keys = snapshot ? added : this.keys;
    if (!snapshot) for (const key of added) this.keys.push(key);
    for (const operation of plan.operations) carryOut(operation);
    if (root === INNER) return plan.operations;
    this.root = root;
    return null;
  }
}

/** Reads a change against what is there, without touching it. */
class Plan {
  constructor(reader, keyCount) {
    this.reader = reader;
    this.keyCount = keyCount;
    this.operations = [];
  }

  expectSet() {
    const { reader } = this;
    if (reader.remaining === 0 || reader.bytes[reader.at] !== 0x00) throw new WireError("a snapshot sets its root");
  }

  /** One change to `current`: the node that replaces it, REMOVED, or INNER when the change is to its entries. */
  change(current, removable, depth) {
    const tag = this.reader.u8();
    if (tag === 0x00) return this.node(depth);
    if (tag === 0x01 && removable) return REMOVED;
    if (depth >= MAX_DEPTH) throw new WireError("nested too deep");
    if (tag === 0x02 && current instanceof MapNode) this.#mapChange(current, depth);
    else if (tag === 0x03 && current instanceof ListNode) this.#listChange(current, depth);
    else throw new WireError(`change 0x${tag.toString(16)} does not fit`);
    return INNER;
  }

  #mapChange(map, depth) {
    let previous = -1;
    for (let left = this.reader.count(2); left > 0; left--) {
      const key = this.#key(previous);
      previous = key;
      // A delta over several versions may remove what came and went in between: then nothing happens.
      const node = this.change(map.entries.get(key), true, depth + 1);
      this.operations.push({ container: map, key, node });
    }
  }

  #listChange(list, depth) {
    const { reader } = this;
    const reordered = reader.u8();
    if (reordered > 1) throw new WireError(`order flag ${reordered}`);
    const kept = reordered ? this.#order(list, depth) : list.entries;
    let previous = -1;
    for (let left = reader.count(2); left > 0; left--) {
      const id = reader.uint();
      if (id <= previous) throw new WireError("element ids must ascend");
      if (!list.entries.has(id) || !kept.has(id)) throw new WireError(`no element ${id}`);
      previous = id;
      const node = this.change(list.entries.get(id), false, depth + 1);
      this.operations.push({ container: list, key: id, node });
    }
  }

  /** The new order of a list; returns its elements, those that stay and those that are new. */
  #order(list, depth) {
    const { reader } = this;
    const ids = [];
    const entries = new Map();
    const add = (id, node) => {
      if (entries.has(id)) throw new WireError(`element ${id} stands twice`);
      ids.push(id);
      entries.set(id, node);
    };
    for (let left = reader.count(3); left > 0; left--) {
      const tag = reader.u8();
      const first = reader.uint();
      if (tag === 0x00) {
        for (let i = 0, length = reader.uint(list.ids.length); i < length; i++) {
          if (!list.entries.has(first + i)) throw new WireError(`no element ${first + i}`);
          add(first + i, list.entries.get(first + i));
        }
      } else if (tag === 0x01) {
        if (list.entries.has(first)) throw new WireError(`element ${first} is not new`);
        add(first, this.node(depth + 1));
      } else {
        throw new WireError(`segment 0x${tag.toString(16)}`);
      }
    }
    this.operations.push({ container: list, key: null, node: { ids, entries } });
    return entries;
  }

  node(depth) {
    if (depth > MAX_DEPTH) throw new WireError("nested too deep");
    const { reader } = this;
    const tag = reader.u8();
    if (tag >= 0x80) return tag - 0xc0;
    switch (tag) {
      case 0x00: return null;
      case 0x01: return false;
      case 0x02: return true;
      case 0x03: return reader.zigzag();
      case 0x04: return finite(reader.f64());
      case 0x05: return finite(reader.f32());
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
    let previous = -1;
    for (let left = this.reader.count(2); left > 0; left--) {
      const key = this.#key(previous);
      previous = key;
      map.entries.set(key, this.node(depth + 1));
    }
    return map;
  }

  #list(depth) {
    const { reader } = this;
    const list = new ListNode();
    const count = reader.count();
    while (list.ids.length < count) {
      const first = reader.uint();
      const length = reader.uint(count - list.ids.length);
      if (length === 0) throw new WireError("an empty run");
      for (let i = 0; i < length; i++) list.ids.push(first + i);
    }
    for (const id of list.ids) {
      if (list.entries.has(id)) throw new WireError(`element ${id} stands twice`);
      list.entries.set(id, this.node(depth + 1));
    }
    return list;
  }

  #key(previous) {
    const key = this.reader.uint();
    if (key <= previous) throw new WireError("keys must ascend");
    if (key >= this.keyCount) throw new WireError(`key ${key} of ${this.keyCount}`);
    return key;
  }
}

function carryOut({ container, key, node }) {
  if (node === INNER) return;
  if (key === null) {
    container.ids = node.ids;
    container.entries = node.entries;
  } else if (node === REMOVED) {
    container.entries.delete(key);
  } else {
    container.entries.set(key, node);
  }
}

function finite(number) {
  if (!Number.isFinite(number)) throw new WireError("a float is not finite");
  return number;
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
