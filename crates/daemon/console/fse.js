// Finite state entropy, the arithmetic coding of zstd (RFC 8878, section 4.1): how tables are told and built.

import { WireError } from "./bytes.js";

/** What each state stands for, and how the next one is found: `bases` and as many bits as `widths` says. */
export class FseTable {
  constructor(log) {
    this.log = log;
    this.symbols = new Uint8Array(1 << log);
    this.widths = new Uint8Array(1 << log);
    this.bases = new Uint16Array(1 << log);
  }

  /** The table in which there is one symbol, which takes no bits. */
  static of(symbol) {
    const table = new FseTable(0);
    table.symbols[0] = symbol;
    return table;
  }

  /** The table of a distribution: by symbol, how many of the 2^log states it has; -1 stands for less than one. */
  static from(log, shares) {
    const table = new FseTable(log);
    const { symbols, widths, bases } = table;
    const size = 1 << log;
    let top = size - 1;
    shares.forEach((share, symbol) => { if (share < 0) symbols[top--] = symbol; });
    const step = (size >> 1) + (size >> 3) + 3;
    let state = 0;
    shares.forEach((share, symbol) => {
      for (let i = 0; i < share; i++) {
        symbols[state] = symbol;
        do state = (state + step) & (size - 1); while (state > top);
      }
    });
    const seen = shares.map(Math.abs);
    for (state = 0; state < size; state++) {
      const rank = seen[symbols[state]]++;
      widths[state] = log - (31 - Math.clz32(rank));
      bases[state] = (rank << widths[state]) - size;
    }
    return table;
  }
}

/**
 * Reads the table that is told from `start` on, before `end`. Returns it and where it ends. A distribution is a forward stream: of
 * each symbol one more than its share, in as many bits as what is left to distribute asks for.
 */
export function readFseTable({ view }, start, end, logMax, symbolMax) {
  let at = 0;
  const peek = (count) => (view.getUint32(start + (at >>> 3), true) >>> (at & 7)) & ((1 << count) - 1);
  const skip = (count) => {
    at += count;
    if (at > (end - start) * 8) throw new WireError("a table is cut off");
  };
  if (start >= end) throw new WireError("a table is cut off");
  const log = peek(4) + LOG_MIN;
  skip(4);
  if (log > logMax) throw new WireError(`a table of 2^${log} states exceeds 2^${logMax}`);
  const shares = [];
  let left = 1 << log;
  while (left > 0) {
    const most = left + 1;
    const width = 32 - Math.clz32(most);
    // So many of the smallest values take one bit less.
    const short = (1 << width) - 1 - most;
    let value = peek(width - 1);
    if (value < short) {
      skip(width - 1);
    } else {
      value = peek(width);
      skip(width);
      if (value >= 1 << (width - 1)) value -= short;
    }
    shares.push(value - 1);
    left -= Math.abs(value - 1);
    let zeros = value === 1 ? 3 : 0;
    while (zeros === 3) {
      zeros = peek(2);
      skip(2);
      for (let i = 0; i < zeros; i++) shares.push(0);
      if (shares.length > symbolMax + 1) break;
    }
    if (shares.length > symbolMax + 1) throw new WireError(`a table has symbols beyond ${symbolMax}`);
  }
  return { table: FseTable.from(log, shares), next: start + ((at + 7) >>> 3) };
}

const LOG_MIN = 5;
