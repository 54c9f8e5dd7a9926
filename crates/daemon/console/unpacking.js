// Messages with blocks in, plain messages out (docs/WIRE.md, section 8): what a connection holds for that, which ends with it.

import { DICTIONARY, LINEAR, parseBlock, PREFIX, readBatch, STORED } from "./block.js";
import { WireError } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { Dictionaries, DICTIONARY_BYTES_MAX, isDictionary } from "./dictionary.js";
import { decodeSound } from "./linear.js";
import { BLOCK, EVENT } from "./wire.js";
import { FrameDecoder, Past } from "./zstd.js";

/** What the hub is told in Hello: the page shows one topic and the statistics, and those that it has shown may still be held. */
export const BLOCKS = { dictionaries: 16, dictionaryBytes: DICTIONARY_BYTES_MAX, prefixes: 4, prefixBytes: 1 << 20 };

/** A block refers to what is not here: the hub has to send its topic plainly. */
export class UnknownReference extends WireError {}

export class Unpacking {
  #dictionaries = new Dictionaries(BLOCKS.dictionaries);
  /** By topic, the last two contents that were to be kept, the older one first: `{ version, content }`. */
  #prefixes = new Map();
  #frames = new FrameDecoder();

  insert(dictionary) {
    this.#dictionaries.insert(dictionary);
  }

  retire(id, version) {
    this.#dictionaries.retire(id, version);
  }

  /** The hub was asked to begin this topic anew, or the page does not read it any more. */
  forget(topic) {
    this.#prefixes.delete(topic);
  }

  /**
   * The plain messages that a message with a block stands for. Their `size`, which is to be acknowledged, is that of the one on the wire, on the
   * last of them. `limit` is the most that a message may have.
   */
  unpack(message, limit) {
    const stamp = message.timestamp === null ? 0 : 8;
    const block = parseBlock(message.payload, limit - stamp);
    const flags = message.flags & ~BLOCK;
    if (block.items === null) {
      const content = this.#content(block, message.topic);
      if (block.keep) this.#keep(message.topic, message.sequence, content);
      return [{ ...message, flags, payload: content }];
    }
    if (message.type !== EVENT || message.timestamp !== null || block.keep) throw new WireError("a batch where there can be none");
    const items = readBatch(this.#content(block, message.topic), block.items);
    return items.map(({ payload, timestamp }, n) => ({
      ...message,
      flags,
      sequence: (message.sequence + n) >>> 0,
      timestamp,
      payload,
      size: n === items.length - 1 ? message.size : 0,
    }));
  }

  #content(block, topic) {
    if (block.encoding === STORED) return block.body;
    if (block.encoding === LINEAR) return decodeSound(block.body);
    const content = this.#frames.decode(block.body, block.size, this.#past(block, topic));
    if (block.encoding === PREFIX && crc32(content) !== block.sum) throw new UnknownReference("a block's prefix is another one");
    return content;
  }

  /** What stands in front of the content; undefined where the block refers to nothing. */
  #past(block, topic) {
    if (block.encoding === DICTIONARY) {
      const past = this.#dictionaries.get(block.id, block.version);
      if (!past) throw new UnknownReference(`dictionary ${block.id}, version ${block.version} is not here`);
      return past;
    }
    if (block.encoding !== PREFIX) return undefined;
    const kept = this.#prefixes.get(topic)?.find(({ version }) => version === block.version);
    if (!kept) throw new UnknownReference(`version ${block.version} of topic ${topic} is not here`);
    return new Past(kept.content);
  }

  /** A content that can't be kept fails with the block that needs it. */
  #keep(topic, version, content) {
    if (content.length > BLOCKS.prefixBytes || isDictionary(content)) return;
    const kept = this.#prefixes.get(topic) ?? [];
    // In the order in which they were kept last: what was under way when its topic was left may have brought one back.
    this.#prefixes.delete(topic);
    if (this.#prefixes.size >= BLOCKS.prefixes) this.#prefixes.delete(this.#prefixes.keys().next().value);
    // A copy: a stored content is a part of what was received, which may be larger.
    this.#prefixes.set(topic, [...kept, { version, content: content.slice() }].slice(-2));
  }
}
