// Frames of zstd (RFC 8878) as the blocks of docs/WIRE.md have them: without magic number, with their content's size, without
// checksum and dictionary id. Whatever the bytes are, reading them takes time in proportion to the frame and its content, and
// throws nothing but a WireError.

import { Padded } from "./bits.js";
import { Reader, WireError } from "./bytes.js";
import { BLOCK_BYTES_MAX, readLiterals } from "./literals.js";
import { runSequences } from "./sequences.js";

const WINDOW_LOG_MAX = 23;

const RAW = 0;
const REPEATED = 1;
const COMPRESSED = 2;

/** What stands in front of a frame's content, and what its first block may refer to. */
export class Past {
  /** Plain bytes. */
  constructor(content = new Uint8Array(0)) {
    this.content = content;
    this.huffman = null;
    this.tables = [null, null, null];
    this.offsets = [1, 4, 8];
  }
}

const NOTHING = new Past();

/**
 * The size of the content of what has to be one whole frame, without decoding it. Throws where that exceeds `limit`, or is more than the
 * frame's blocks can yield: what it says may be allocated.
 */
export function contentSize(frame, limit) {
  const reader = new Reader(frame);
  const size = readHead(reader);
  if (size > limit) throw new WireError(`a block of ${size} bytes of content exceeds ${limit}`);
  let most = 0;
  for (let last = false; !last;) {
    const block = readBlockHead(reader);
    most += block.type === COMPRESSED ? BLOCK_BYTES_MAX : block.size;
    reader.take(block.type === REPEATED ? 1 : block.size);
    last = block.last;
  }
  reader.finish();
  if (size > most) throw new WireError(`a frame says ${size} bytes, which its blocks can't hold`);
  return size;
}

function readHead(reader) {
  const descriptor = reader.u8();
  if ((descriptor & 0x18) !== 0) throw new WireError("a reserved bit of a frame is set");
  if ((descriptor & 0x07) !== 0) throw new WireError("a frame has a checksum or a dictionary id");
  const alone = (descriptor & 0x20) !== 0;
  if (!alone) {
    const window = reader.u8();
    if (window > (WINDOW_LOG_MAX - 10) << 3) throw new WireError("a frame's window is over 8 MiB");
  }
  switch (descriptor >>> 6) {
    case 0:
      if (!alone) throw new WireError("a frame does not say its size");
      return reader.u8();
    case 1:
      return reader.little(2) + 256;
    case 2:
      return reader.little(4);
    default:
      return reader.little(8);
  }
}

function readBlockHead(reader) {
  const bits = reader.little(3);
  const block = { last: (bits & 1) === 1, type: (bits >>> 1) & 3, size: bits >>> 3 };
  if (block.type > COMPRESSED) throw new WireError("a block of a frame has the reserved type");
  if (block.size > BLOCK_BYTES_MAX) throw new WireError(`a block of a frame has ${block.size} bytes`);
  return block;
}

/** Decodes frames, with buffers that are used again. */
export class FrameDecoder {
  #input = new Padded();
  #literals = null;
  #scratch = () => (this.#literals ??= new Uint8Array(BLOCK_BYTES_MAX));

  /** The content of a frame that is `size` bytes long, which `contentSize` has said. */
  decode(frame, size, past = NOTHING) {
    const input = this.#input.fill(frame);
    const out = new Uint8Array(size);
    const history = { huffman: past.huffman, tables: [...past.tables], offsets: past.offsets };
    const reader = new Reader(frame);
    readHead(reader);
    let at = 0;
    for (let last = false; !last;) {
      const block = readBlockHead(reader);
      const start = reader.take(block.type === REPEATED ? 1 : block.size);
      if (block.type !== COMPRESSED && block.size > size - at) throw new WireError("a frame yields more than it says");
      if (block.type === RAW) {
        out.set(frame.subarray(start, start + block.size), at);
        at += block.size;
      } else if (block.type === REPEATED) {
        out.fill(frame[start], at, at + block.size);
        at += block.size;
      } else {
        const literals = readLiterals(input, start, reader.at, history, this.#scratch);
        at = runSequences(input, literals.next, reader.at, literals, out, at, past.content, history);
      }
      last = block.last;
    }
    if (at !== size) throw new WireError(`a frame yields ${at} bytes and says ${size}`);
    return out;
  }
}
