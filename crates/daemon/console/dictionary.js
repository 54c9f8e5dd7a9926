// Dictionaries of zstd (RFC 8878, section 5): what a topic's messages have in common, and the tables that suit them. The hub sends
// them, and says when they are needed no more (docs/WIRE.md, section 8).

import { Padded } from "./bits.js";
import { Reader, WireError } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { readFseTable } from "./fse.js";
import { readHuffmanTable } from "./huffman.js";
import { LITERAL_LENGTH, MATCH_LENGTH, OFFSET } from "./sequences.js";
import { Past } from "./zstd.js";

/** The largest dictionary that there can be. */
export const DICTIONARY_BYTES_MAX = 16 * 1024;

const MAGIC = [0x37, 0xa4, 0x30, 0xec];
const MAGIC_AND_ID_BYTES = 8;

/** Whether zstd takes these bytes for a dictionary with tables, and not for plain content. */
export function isDictionary(bytes) {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Reads a dictionary with tables into what stands in front of a frame. */
export function readDictionary(bytes) {
  if (bytes.length < MAGIC_AND_ID_BYTES || !isDictionary(bytes)) throw new WireError("this is no dictionary");
  const input = new Padded().fill(bytes);
  const end = bytes.length;
  const huffman = readHuffmanTable(input, MAGIC_AND_ID_BYTES, end);
  const fse = (start, { logMax, symbolMax }) => readFseTable(input, start, end, logMax, symbolMax);
  const offsets = fse(huffman.next, OFFSET);
  const matches = fse(offsets.next, MATCH_LENGTH);
  const lengths = fse(matches.next, LITERAL_LENGTH);
  const reader = new Reader(bytes, lengths.next);
  const recent = [reader.little(4), reader.little(4), reader.little(4)];
  const past = new Past(bytes.slice(reader.at));
  if (recent.some((offset) => offset === 0 || offset > past.content.length)) throw new WireError("a dictionary's offset is outside of it");
  past.huffman = huffman.table;
  past.tables = [lengths.table, offsets.table, matches.table];
  past.offsets = recent;
  return past;
}

/** The dictionaries that the hub has sent, by id and version. */
export class Dictionaries {
  #held = new Map();
  #countMax;

  constructor(countMax) {
    this.#countMax = countMax;
  }

  /** Takes the `message` of a Dictionary. Throws, and stays as it is, where the hub has not kept to what it was told. */
  insert(message) {
    const reader = new Reader(message);
    const name = nameOf(reader.uint(0xffffffff), reader.uint(0xffffffff));
    const sum = reader.u32();
    if (reader.remaining > DICTIONARY_BYTES_MAX) throw new WireError(`a dictionary of ${reader.remaining} bytes`);
    const content = reader.slice(reader.remaining);
    if (crc32(content) !== sum) throw new WireError("a dictionary's checksum does not fit");
    const held = this.#held.get(name);
    if (held) {
      // The same once more is no error.
      if (held.sum !== sum) throw new WireError(`dictionary ${name} is here already, and is another`);
      return;
    }
    if (this.#held.size >= this.#countMax) throw new WireError(`${this.#countMax} dictionaries are here already`);
    this.#held.set(name, { sum, past: readDictionary(content) });
  }

  retire(id, version) {
    this.#held.delete(nameOf(id, version));
  }

  /** What stands in front of frames that this dictionary was made for; undefined where it is not here. */
  get(id, version) {
    return this.#held.get(nameOf(id, version))?.past;
  }
}

function nameOf(id, version) {
  return `${id}/${version}`;
}
