// A block (docs/WIRE.md, section 8): its head, and the items of a batch.

import { Reader, WireError } from "./bytes.js";
import { soundSize } from "./linear.js";
import { contentSize } from "./zstd.js";

export const STORED = 0;
export const ZSTD = 1;
export const DICTIONARY = 2;
export const PREFIX = 3;
export const LINEAR = 4;

const ENCODING = 0x3f;
const BATCH = 0x40;
const KEEP = 0x80;

const ITEMS_MAX = 4096;

/**
 * What a block says of itself: its `encoding` and what that refers to, `items` (null where it is no batch), whether to `keep` its content,
 * the `size` of that, and the `body`. Nothing is decoded, and nothing allocated.
 */
export function parseBlock(bytes, limit) {
  const reader = new Reader(bytes);
  const tag = reader.u8();
  const block = { encoding: tag & ENCODING, keep: (tag & KEEP) !== 0, items: null };
  if ((tag & BATCH) !== 0) block.items = itemCount(reader);
  if (block.encoding === DICTIONARY) {
    block.id = reader.uint(0xffffffff);
    block.version = reader.uint(0xffffffff);
  } else if (block.encoding === PREFIX) {
    block.version = reader.varint();
    block.sum = reader.u32();
  } else if (block.encoding === LINEAR && block.items !== null) {
    throw new WireError("a batch of sound");
  } else if (block.encoding > LINEAR) {
    throw new WireError(`block encoding ${block.encoding}`);
  }
  block.body = reader.slice(reader.remaining);
  block.size = sizeOf(block, limit);
  if (block.size > limit) throw new WireError(`a block of ${block.size} bytes of content exceeds ${limit}`);
  if (block.items > block.size) throw new WireError(`${block.items} items in ${block.size} bytes`);
  return block;
}

function sizeOf({ encoding, body }, limit) {
  switch (encoding) {
    case STORED: return body.length;
    case LINEAR: return soundSize(body, limit);
    default: return contentSize(body, limit);
  }
}

/** For how many items a block stands, as far as its first bytes tell: the gap that it leaves where it can't be read. */
export function itemsOf(bytes) {
  try {
    return (bytes[0] & BATCH) !== 0 ? itemCount(new Reader(bytes, 1)) : 1;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return 1;
  }
}

function itemCount(reader) {
  const items = reader.uint(ITEMS_MAX);
  if (items === 0) throw new WireError("a batch without items");
  return items;
}

/** The items of a batch's content: `payload`, and `timestamp` in milliseconds since the Unix epoch, or null. */
export function readBatch(content, count) {
  const reader = new Reader(content);
  const items = [];
  let micros = 0n;
  for (let n = 0; n < count; n++) {
    const head = BigInt(reader.varint());
    const stamped = (head & 1n) === 1n;
    if (stamped) micros = BigInt.asUintN(64, micros + BigInt(reader.zigzag()));
    const payload = reader.slice(Number(head >> 1n));
    items.push({ payload, timestamp: stamped ? Number(micros) / 1000 : null });
  }
  reader.finish();
  return items;
}
