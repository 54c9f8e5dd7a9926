// The literals section of a zstd block (RFC 8878, section 3.1.1.3.1).

import { WireError } from "./bytes.js";
import { readHuffmanTable } from "./huffman.js";

/** No block of a frame yields more. */
export const BLOCK_BYTES_MAX = 128 * 1024;

const RAW = 0;
const REPEATED = 1;
const WITH_TABLE = 2;

/**
 * Reads the literals of the block from `start` to `end`. Returns them, `count` of them in `bytes` from `from` on, and where the
 * sequences begin. `history` has the Huffman table of the block before; `scratch()` gives room for BLOCK_BYTES_MAX bytes.
 */
export function readLiterals(input, start, end, history, scratch) {
  const { bytes } = input;
  const head = readHead(input, start, end);
  if (head.count > BLOCK_BYTES_MAX) throw new WireError(`a block has ${head.count} literals`);
  if (head.next > end) throw new WireError("literals are cut off");
  if (head.type === RAW) return { bytes, from: head.start, count: head.count, next: head.next };
  const out = scratch();
  if (head.type === REPEATED) out.fill(bytes[head.start], 0, head.count);
  else decode(input, head, history, out);
  return { bytes: out, from: 0, count: head.count, next: head.next };
}

/** The type, how many literals there are, and from where to where what tells them stands. */
function readHead({ bytes, view }, start, end) {
  if (start >= end) throw new WireError("a block is empty");
  const type = bytes[start] & 3;
  const format = (bytes[start] >>> 2) & 3;
  if (type === RAW || type === REPEATED) {
    const length = [1, 2, 1, 3][format];
    const count = ((view.getUint32(start, true) & (0xffffffff >>> (32 - 8 * length))) >>> (length === 1 ? 3 : 4));
    const from = start + length;
    return { type, count, start: from, next: from + (type === RAW ? count : 1) };
  }
  const length = [3, 3, 4, 5][format];
  const width = [10, 10, 14, 18][format];
  const mask = (1 << width) - 1;
  const bits = view.getUint32(start, true) >>> 4;
  const compressed = ((bits >>> width) | (bytes[start + 4] << (28 - width))) & mask;
  const from = start + length;
  return { type, count: bits & mask, streams: format === 0 ? 1 : 4, start: from, next: from + compressed };
}

function decode(input, { type, count, streams, start, next }, history, out) {
  if (type === WITH_TABLE) {
    const read = readHuffmanTable(input, start, next);
    history.huffman = read.table;
    start = read.next;
  }
  const { huffman } = history;
  if (huffman === null) throw new WireError("there is no earlier Huffman table");
  if (streams === 1) {
    huffman.decode(input, start, next, out, 0, count);
    return;
  }
  // The first three streams have their lengths in front, and all but the last as many symbols.
  const each = (count + 3) >>> 2;
  if (start + 6 > next || 3 * each > count) throw new WireError("four Huffman streams are cut off");
  let from = start + 6;
  for (let n = 0; n < 4; n++) {
    const to = n < 3 ? from + input.view.getUint16(start + 2 * n, true) : next;
    if (to > next) throw new WireError("four Huffman streams are cut off");
    huffman.decode(input, from, to, out, n * each, n < 3 ? (n + 1) * each : count);
    from = to;
  }
}
