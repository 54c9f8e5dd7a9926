// The document view: a tree keyed by path in which only what changed is touched. Changes gather until the next animation
// frame; a leaf that several of them hit is written once. What is collapsed has no nodes, but its row shows that it lives.
//
// Each item is a `[data-path]` (segments escaped as in JSON Pointer) whose value is its `[data-value]`.

import { count, make, setText } from "./format.js";
import { escape, isBranch, Item, preview, rowsOf, size } from "./item.js";

// Branches open by themselves while the tree has no more rows than this.
const OPEN_ROWS = 240;
const HOT_MS = 350;
// What changes without a pause for this long stops flashing and is only tinted, so that rare changes stand out.
const BUSY_MS = 1500;
const PREVIEW_MS = 200;
// "Expand all" opens no more branches when there are so many rows.
const ALL_ROWS_MAX = 10_000;

export class Tree {
  constructor() {
    this.element = make("div", { role: "tree", "aria-label": "Document", class: "tree" });
    this.document = null;
    this.root = null;
    this.rows = 0;
    this.byElement = new WeakMap();
    this.views = new WeakMap();
    this.chosen = new Map();
    this.dirty = new Set();
    this.hot = new Set();
    this.cooling = 0;
    this.previews = new Set();
    this.renewing = 0;
    this.focused = null;
    this.element.addEventListener("click", (event) => this.#click(event));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("focusin", (event) => this.#rove(event.target.closest("[role=treeitem]")));
  }

  /** Shows a document from its root; what the reader opened or closed by hand stays so. */
  show(state) {
    this.document = state;
    this.rows = 0;
    this.dirty.clear();
    this.hot.clear();
    this.previews.clear();
    const focused = this.#focusedPath();
    const held = this.focused?.path;
    this.element.replaceChildren();
    this.root = new Item(null, null, "", "", state.root, 0);
    this.root.group = this.element;
    if (isBranch(state.root)) {
      this.views.set(state.root, this.root);
      this.#open(this.root);
    } else {
      this.#append(this.root, null, this.root.key, state.root, "(document)");
    }
    const again = held === undefined ? null : this.#find(held);
    this.#rove(again ?? this.element.querySelector("[role=treeitem]"));
    this.#refocus(focused);
  }

  /** Takes the operations of a delta; `flush` shows them. */
  changed(operations) {
    for (const { container, key } of operations) {
      const view = this.views.get(container);
      if (!view?.group) continue;
      (view.changes ??= new Set()).add(key);
      this.dirty.add(view);
    }
  }

  flush() {
    const focused = this.#focusedPath();
    const until = performance.now() + HOT_MS;
    for (const view of this.dirty) {
      const { changes } = view;
      view.changes = null;
      if (!view.group || !this.#attached(view)) continue;
      let membership = changes.has(null);
      for (const key of changes) {
        if (key === null) continue;
        const child = view.children.get(key);
        const node = view.node.entries.get(key);
        if (!child || node === undefined || isBranch(node) !== child.branch || (child.branch && child.node !== node)) {
          if (child) this.#drop(view, child);
          membership = true;
        } else {
          if (child.branch) this.#renew(child);
          else this.#write(child, node);
          if (!child.group) this.#heat(child, until);
        }
      }
      if (membership) this.#reconcile(view, until);
    }
    this.dirty.clear();
    this.#refocus(focused);
    if (this.hot.size > 0 && !this.cooling) this.cooling = setTimeout(() => this.#cool(), HOT_MS);
  }

  /** Opens or closes every branch. */
  setAll(expanded) {
    this.chosen.clear();
    this.all = expanded;
    if (this.document) this.show(this.document);
  }

  close() {
    clearTimeout(this.cooling);
    clearTimeout(this.renewing);
  }

  #attached(view) {
    return view === this.root || this.views.get(view.node) === view;
  }

  #open(view) {
    const { entries, left } = rowsOf(view.node, this.document.keys);
    let size = entries.length;
    for (const [, , node] of entries) if (isBranch(node)) size += node.entries.size;
    view.opensChildren = this.rows + size <= OPEN_ROWS;
    view.children = new Map();
    view.group ??= make("div", { role: "group" });
    if (view.element && view.group.parentNode !== view.element) view.element.append(view.group);
    for (const [key, label, node] of entries) this.#append(view, null, key, node, label);
    this.#tellRest(view, left);
  }

  /** Says behind the rows of a branch how many entries have none. */
  #tellRest(view, left) {
    if (left === 0) {
      view.rest?.remove();
      view.rest = null;
      return;
    }
    view.rest ??= make("div", { class: "note", role: "presentation" });
    setText(view.rest, `and ${count(left).join("")} more`);
    if (view.group.lastChild !== view.rest) view.group.append(view.rest);
  }

  #shut(view) {
    for (const child of view.children.values()) this.#forget(child);
    view.children = view.rest = null;
    view.group.remove();
    view.group = null;
  }

  #append(view, before, key, node, label) {
    const path = view.path === "" ? escape(label) : `${view.path}/${escape(label)}`;
    const child = new Item(view, key, label, path, node, view.depth + 1);
    this.rows += 1;
    this.byElement.set(child.element, child);
    view.children?.set(key, child);
    view.group.insertBefore(child.element, before);
    this.#write(child, node);
    if (child.branch) {
      this.views.set(node, child);
      const all = this.all === true ? this.rows < ALL_ROWS_MAX : this.all;
      this.#expand(child, this.chosen.get(path) ?? all ?? view.opensChildren);
    }
    return child;
  }

  #expand(view, expanded) {
    if (expanded === (view.group !== null)) return;
    if (expanded) this.#open(view);
    else this.#shut(view);
    view.element.setAttribute("aria-expanded", String(expanded));
    this.#write(view, view.node);
  }

  #drop(view, child) {
    this.#forget(child);
    child.element.remove();
    view.children.delete(child.key);
  }

  #forget(child) {
    this.rows -= 1;
    this.hot.delete(child);
    this.previews.delete(child);
    if (this.views.get(child.node) === child) this.views.delete(child.node);
    if (child.children) for (const inner of child.children.values()) this.#forget(inner);
  }

  /** Makes the children those of the node, in its order, keeping what is already there. */
  #reconcile(view, until) {
    const { entries, left } = rowsOf(view.node, this.document.keys);
    const present = new Map(entries.map((entry) => [entry[0], entry]));
    for (const child of [...view.children.values()]) {
      const entry = present.get(child.key);
      if (!entry || (child.branch && child.node !== entry[2]) || child.branch !== isBranch(entry[2]) || child.label !== entry[1]) {
        this.#drop(view, child);
      }
    }
    let next = view.group.firstElementChild;
    for (const [key, label, node] of entries) {
      const child = view.children.get(key);
      if (!child) {
        this.#heat(this.#append(view, next, key, node, label), until);
      } else if (child.element === next) {
        next = next.nextElementSibling;
      } else {
        view.group.insertBefore(child.element, next);
      }
    }
    this.#tellRest(view, left);
    if (view.element) this.#write(view, view.node);
    if (!this.focused || !this.element.contains(this.focused.element)) this.#rove(this.element.querySelector("[role=treeitem]"));
  }

  #write(item, node) {
    if (item.branch) setText(item.value, (!item.group && preview(node, this.document.keys)) || size(node));
    else item.write(node);
  }

  /** A closed branch's row is renewed at a pace that can be read. */
  #renew(item) {
    if (item.group) return;
    this.previews.add(item);
    this.renewing ||= setTimeout(() => {
      this.renewing = 0;
      for (const each of this.previews) this.#write(each, each.node);
      this.previews.clear();
    }, PREVIEW_MS);
  }

  #heat(item, until) {
    item.hotUntil = until;
    if (this.hot.has(item)) {
      if (!item.busy && until - item.hotFrom > BUSY_MS) {
        item.busy = true;
        item.element.classList.add("busy");
      }
      return;
    }
    item.hotFrom = until;
    this.hot.add(item);
    item.element.classList.add("hot");
  }

  #cool() {
    const now = performance.now();
    for (const item of this.hot) {
      if (item.hotUntil > now) continue;
      this.hot.delete(item);
      item.busy = false;
      item.element.classList.remove("hot", "busy");
    }
    this.cooling = this.hot.size > 0 ? setTimeout(() => this.#cool(), 100) : 0;
  }

  #find(path) {
    return this.element.querySelector(`[data-path="${CSS.escape(path)}"]`);
  }

  #focusedPath() {
    return this.element.contains(document.activeElement) ? (this.focused?.path ?? null) : null;
  }

  /** Gives the focus back after the item that had it was replaced: to its successor, or to the nearest item above that is left. */
  #refocus(path) {
    if (path === null || this.element.contains(document.activeElement)) return;
    for (let at = path; ; at = at.slice(0, at.lastIndexOf("/"))) {
      const element = this.#find(at);
      if (element) return element.focus({ preventScroll: true });
      if (!at.includes("/")) break;
    }
    this.element.querySelector("[role=treeitem]")?.focus({ preventScroll: true });
  }

  #toggle(item, expanded) {
    if (!item?.branch) return;
    this.chosen.set(item.path, expanded);
    this.#expand(item, expanded);
  }

  #click(event) {
    const element = event.target.closest("[role=treeitem]");
    const item = element && this.byElement.get(element);
    if (!item) return;
    element.focus();
    this.#toggle(item, item.group === null);
  }

  #rove(element) {
    if (!element) return;
    if (this.focused) this.focused.element.tabIndex = -1;
    this.focused = this.byElement.get(element) ?? null;
    element.tabIndex = 0;
  }

  #key(event) {
    const element = event.target.closest("[role=treeitem]");
    const item = element && this.byElement.get(element);
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = () => [...this.element.querySelectorAll("[role=treeitem]")];
    const step = (by) => {
      const all = items();
      all[all.indexOf(element) + by]?.focus();
    };
    switch (event.key) {
      case "ArrowDown": step(1); break;
      case "ArrowUp": step(-1); break;
      case "Home": items()[0].focus(); break;
      case "End": items().at(-1).focus(); break;
      case "Enter": case " ": this.#toggle(item, item.group === null); break;
      case "ArrowRight": if (item.branch && item.group) step(1); else this.#toggle(item, true); break;
      case "ArrowLeft": if (item.branch && item.group) this.#toggle(item, false); else item.parent.element?.focus(); break;
      default: return;
    }
    event.preventDefault();
  }
}
