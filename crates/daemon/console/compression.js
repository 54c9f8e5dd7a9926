// How a topic is compressed on its way: what is chosen, what that saves and costs, and the last decisions with their reasons.

import { bytes, count, make, setText } from "./format.js";

export class CompressionView {
  constructor() {
    this.facts = new Map();
    this.factList = make("dl", { class: "facts" });
    this.decisions = make("ol", { class: "decisions" });
    this.element = make("section", { class: "compression" }, make("h3", {}, "Compression"), this.factList, this.decisions);
    this.element.hidden = true;
  }

  /** With the topic's entry of the statistics, and whether the hub may compress at all. What nobody compresses is not shown. */
  update({ blocks, compression }, allowed) {
    const facts = { ...ofCompression(compression, allowed), ...ofBlocks(blocks) };
    this.element.hidden = Object.keys(facts).length === 0;
    for (const [name, value] of Object.entries(facts)) {
      let element = this.facts.get(name);
      if (!element) {
        element = make("dd");
        this.facts.set(name, element);
        this.factList.append(make("div", {}, make("dt", {}, name), element));
      }
      setText(element, value);
    }
    this.#decisions(compression?.decisions ?? []);
  }

  #decisions(decisions) {
    while (this.decisions.children.length > decisions.length) this.decisions.lastElementChild.remove();
    decisions.forEach(({ at_ms: at, text }, i) => {
      const row = this.decisions.children[i] ?? this.decisions.appendChild(make("li", {}, make("time"), make("span")));
      setText(row.children[0], new Date(at).toLocaleTimeString());
      setText(row.children[1], text);
    });
  }
}

/** The facts of what the hub compresses, as text by name. */
export function ofCompression(compression, mayCompress = true) {
  if (!compression) return {};
  const { allowed, chosen, before_bytes: before, after_bytes: after, cpu_ms: cpu, over_budget: over } = compression;
  return {
    chosen: !mayCompress ? "raw (turned off in the hub)" : allowed === "auto" ? chosen : `${chosen} (${allowed} is set)`,
    saved: saved(before, after),
    "CPU": `${count(Math.round(cpu)).join("")}\u2009ms`,
    dictionary: compression.dictionary_bytes === null ? "none" : bytes(compression.dictionary_bytes).join("\u2009"),
    "over budget": count(over).join(""),
  };
}

/** The facts of what publishers compressed. */
export function ofBlocks(blocks) {
  if (!blocks?.messages) return {};
  return { "blocks of publishers": count(blocks.messages).join(""), "saved by them": saved(blocks.before_bytes, blocks.after_bytes) };
}

function saved(before, after) {
  const share = before > 0 ? Math.round((100 * (before - after)) / before) : 0;
  return `${bytes(Math.max(before - after, 0)).join("\u2009")} of ${bytes(before).join("\u2009")} (${share}\u2009%)`;
}
