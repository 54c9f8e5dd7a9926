// What of a document gets rows: `node --test`, by the suite `console`.

import assert from "node:assert/strict";
import test from "node:test";

import { plain } from "./format.js";
import { ROWS_MAX, rowsOf } from "./item.js";
import { ListNode, MapNode } from "./wire.js";

function map(count) {
  const node = new MapNode();
  for (let key = 0; key < count; key++) node.entries.set(key, key);
  return { node, keys: Array.from({ length: count }, (_, key) => `k${count - 1 - key}`) };
}

test("a branch of any size has a bounded number of rows, and what is left is told", () => {
  for (const count of [0, 3, ROWS_MAX, ROWS_MAX + 1, 60_000]) {
    const { node, keys } = map(count);
    const { entries, left } = rowsOf(node, keys);
    assert.equal(entries.length, Math.min(count, ROWS_MAX));
    assert.equal(entries.length + left, count);
    const labels = entries.map(([, label]) => Number(label.slice(1)));
    assert.deepEqual(labels, labels.toSorted((a, b) => a - b));
    for (const [key, label, value] of entries) assert.deepEqual([keys[key], key], [label, value]);
  }
});

test("a list shows its first elements in their order", () => {
  const node = new ListNode();
  node.ids = Array.from({ length: 200_000 }, (_, i) => 7 + i);
  for (const id of node.ids) node.entries.set(id, `v${id}`);
  const { entries, left } = rowsOf(node, []);
  assert.deepEqual([entries.length, left], [ROWS_MAX, 200_000 - ROWS_MAX]);
  assert.deepEqual(entries[1], [8, "1", "v8"]);
});

test("a name can't pass for another by what is not seen of it", () => {
  assert.equal(plain("\u202egnp.x\u2066\u200b\ufeff"), "\\u{202e}gnp.x\\u{2066}\\u{200b}\\u{feff}");
  assert.equal(plain("a/b <c> \u{1f469}\u200d\u{1f4bb} نص"), "a/b <c> \u{1f469}\u200d\u{1f4bb} نص");
});
