// The console: wires the session to the tables and to the selected topic, and the page to the keyboard and the address bar.

import { Chart, Ring, WINDOW_MS } from "./charts.js";
import { Detail } from "./detail.js";
import { byteRate, bytes, count, duration, make, milliseconds, plain, quantity, rate, setText, total } from "./format.js";
import { Login } from "./login.js";
import { Session } from "./session.js";
import { HeldState } from "./states.js";
import { SubscriberTable, TopicTable } from "./tables.js";
import { KINDS, STATE, toPlain } from "./wire.js";

const STATS = "$nyx/stats";
const TICK_MS = 500;
const TOPIC_SERIES = ["rate", "byteRate", "p50", "p99", "drops"];

const $ = (id) => document.getElementById(id);

const model = { server: {}, topics: new Map(), subscribers: new Map(), ring: new Ring(["rate", "byteRate", "drops", "memory"]), present: {} };
const session = new Session(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/ws`, {
  onLink: showLink,
  onMessage: route,
  onUnreadable: (message, announce) => heldOf(announce)?.miss(message),
  onAnnounce: (announce) => { if (announce.topic === selected?.name) announced(announce); },
  onGap: (gap, announce) => { if (announce.topic === selected?.name) selected.gap(gap); },
  onError: (text, error) => (error.subscription === statsSubscription ? showBlind() : notice(text)),
  onUnauthorized: (text) => login.ask(text),
});
const login = new Login(() => session.connect());
const stats = new HeldState(session);
const topics = new TopicTable($("topic-rows"), (name) => { location.hash = hashOf(name); });
const subscribers = new SubscriberTable($("subscriber-rows"));
let selected = null;
let subscription = null;
let link = { state: "connecting" };
let statsAt = 0;

// Messages.

function route(message, announce) {
  const shown = announce.topic === selected?.name ? selected : null;
  let operations;
  if (message.type === STATE) {
    operations = heldOf(announce)?.apply(message);
    if (announce.topic === STATS && operations !== undefined) takeStats();
  }
  if (shown) shown.message(message, operations);
  else session.consumed(message);
}

function announced(announce) {
  selected.announce(announce);
  subscribe(KINDS[announce.kindOfTopic]);
}

function heldOf({ topic }) {
  return topic === STATS ? stats : topic === selected?.name ? selected.held : undefined;
}

function takeStats() {
  const now = performance.now();
  const { document: doc } = stats;
  const { server = {}, topics: byName = {}, subscribers: bySession = {} } = toPlain(doc.root, doc.keys) ?? {};
  const elapsed = Math.max(0.1, (now - statsAt) / 1000);
  statsAt = now;
  const sums = { rate: 0, byteRate: 0, drops: 0, memory: Number(server.memory_bytes ?? NaN) };
  for (const [name, entry] of Object.entries(byName)) {
    const topic = model.topics.get(name) ?? { ring: new Ring(TOPIC_SERIES), dropped: null };
    const dropped = total(entry.drops);
    topic.stats = entry;
    topic.present = {
      rate: entry.rate,
      byteRate: entry.byte_rate,
      p50: entry.age_p50_ms,
      p99: entry.age_p99_ms,
      drops: topic.dropped === null ? 0 : Math.max(0, dropped - topic.dropped) / elapsed,
    };
    topic.dropped = dropped;
    topic.seenAt = now;
    topic.ring.push(now, topic.present);
    model.topics.set(name, topic);
    sums.rate += Number(entry.rate ?? 0);
    sums.byteRate += Number(entry.byte_rate ?? 0);
    sums.drops += topic.present.drops;
  }
  // A quiet topic may leave the list of the busiest and return: its history waits for it as long as it would be drawn.
  for (const [name, topic] of model.topics) if (now - topic.seenAt > WINDOW_MS) model.topics.delete(name);
  model.server = server;
  model.subscribers = new Map(Object.entries(bySession));
  model.present = sums;
  model.ring.push(now, sums);
}

// The page, twice a second.

const serverReadings = Object.fromEntries(
  [["uptime", "up"], ["connections", "connections"], ["topics", "topics"], ["subscribers", "subscribers"], ["memory", "memory"],
    ["refused", "refused"], ["datagramsLost", "datagrams lost"], ["rtt", "round trip"]].map(([name, label]) => {
    const value = quantity();
    $("server").append(make("div", { "data-reading": name }, make("dt", {}, label), make("dd", {}, value.element)));
    return [name, value];
  }));
const hubCharts = [
  new Chart("Messages in", [{ name: "rate", label: "" }], rate),
  new Chart("Bandwidth in", [{ name: "byteRate", label: "" }], byteRate),
  new Chart("Drops", [{ name: "drops", label: "" }], rate),
  new Chart("Memory", [{ name: "memory", label: "" }], bytes),
];
$("hub-charts").append(...hubCharts.map((chart) => chart.element));

function tick() {
  showWaiting();
  if (document.hidden) return;
  const now = performance.now();
  const { server } = model;
  serverReadings.uptime.set(duration(server.uptime_s));
  serverReadings.connections.set(count(server.connections));
  serverReadings.topics.set(count(server.topics));
  serverReadings.subscribers.set(count(server.subscribers));
  serverReadings.memory.set(bytes(server.memory_bytes));
  serverReadings.refused.set(count(total(server.refused)));
  serverReadings.datagramsLost.set(count(server.datagrams?.lost));
  serverReadings.datagramsLost.element.closest("[data-reading]").hidden = !server.datagrams;
  serverReadings.rtt.set(milliseconds(session.rtt));
  const present = [...model.topics].filter(([, topic]) => topic.seenAt === statsAt);
  topics.update(present, now);
  if (selected) topics.select(selected.name);
  subscribers.update(model.subscribers, String(session.sessionId), now);
  const own = (name) => !name.startsWith("$");
  document.body.dataset.empty = String(statsAt > 0 && !present.some(([name]) => own(name)));
  // The hub tells of the busiest topics, and of the subscribers that lag most.
  const listed = (shown, all) => (shown < all ? `${count(shown).join("")} of ${count(all).join("")}` : String(shown));
  const topicCount = listed(present.length, server.topics);
  setText($("topic-count"), topicCount);
  setText($("subscriber-count"), listed(model.subscribers.size, server.subscribers));
  setText($("no-match"), present.length < server.topics
    ? `No topic matches of those that are listed, the busiest: ${topicCount}. Any other is at #topic/NAME.` : "No topic matches.");
  $("no-subscribers").hidden = model.subscribers.size > 0;
  $("no-match").hidden = !(topics.filter !== "" && $("topic-rows").childElementCount === 0);
  if (selected) selected.tick(model.topics.get(selected.name), now);
  else for (const chart of hubCharts) chart.draw(model.ring, now, model.present);
}

// The connection.

function showLink(next) {
  link = next;
  document.body.dataset.connected = String(link.state === "open");
  document.body.dataset.link = link.state;
  showWaiting();
}

function showWaiting() {
  let text = "Connected";
  if (link.state === "connecting") text = "Connecting";
  if (link.state === "waiting") text = `Disconnected: ${link.reason}`;
  if (link.state === "shut") text = "Signed out";
  setText($("connection-text"), text);
  const left = link.state === "waiting" ? Math.max(0, Math.ceil((link.retryAt - Date.now()) / 1000)) : 0;
  setText($("retry"), link.state === "waiting" ? `Retry now (${left} s)` : "");
  $("retry").hidden = link.state !== "waiting";
}

/** The token allows topics, but not the figures from which they are listed. */
function showBlind() {
  $("blind").hidden = false;
}

function notice(text) {
  setText($("notice-text"), text);
  $("notice").hidden = false;
}

// The selection lives in the address: #topic/game/world.

function hashOf(name) {
  return `#topic/${name.split("/").map(encodeURIComponent).join("/")}`;
}

function topicOf(hash) {
  if (!hash.startsWith("#topic/")) return null;
  try {
    const name = decodeURIComponent(hash.slice("#topic/".length));
    // No name has a star: it would be a pattern, and the page gets what it does not show.
    return name === "" || name.includes("*") ? null : name;
  } catch {
    return null;
  }
}

/** Subscribes to the selected topic as is right for its kind. One that is known by its address alone has none until it is announced. */
function subscribe(kind) {
  const { name, held } = selected;
  // The statistics have their own subscription, and a topic is delivered once per session.
  const maxAgeMs = Detail.maxAgeMs(kind);
  if (name === STATS || subscription?.maxAgeMs === maxAgeMs) return;
  unsubscribe();
  subscription = { id: session.subscribe(name, maxAgeMs, () => held.resume()), maxAgeMs };
}

function unsubscribe() {
  if (subscription !== null) session.unsubscribe(subscription.id);
  subscription = null;
}

function select(name) {
  if (name === (selected?.name ?? null)) return;
  selected?.close();
  unsubscribe();
  $("notice").hidden = true;
  const previous = selected?.name;
  selected = null;
  document.body.dataset.open = String(name !== null);
  $("detail").hidden = name === null;
  $("hub").hidden = name !== null;
  document.title = name === null ? "Nyx" : `${plain(name)} · Nyx`;
  topics.select(name);
  if (name === null) {
    $("detail-content").replaceChildren();
    topics.focus(previous);
    return;
  }
  const held = name === STATS ? stats : new HeldState(session);
  selected = new Detail(session, name, held);
  setText($("detail-name"), plain(name));
  $("detail-content").replaceChildren(selected.element);
  const known = [...(session.link?.topics.values() ?? [])].find((announce) => announce.topic === name);
  if (known) selected.announce(known);
  subscribe(model.topics.get(name)?.stats.kind);
  $("detail").scrollTop = 0;
  if (document.activeElement !== document.body) $("detail-name").focus();
  tick();
}

function close() {
  history.pushState(null, "", location.pathname + location.search);
  select(null);
}

// The keyboard, the theme, the copying of commands.

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").setAttribute("aria-label", `Theme: ${theme}`);
  $("theme").title = `Theme: ${theme}`;
  try {
    localStorage.setItem("nyx-theme", theme);
  } catch {
    // A browser without storage forgets the choice.
  }
}

function storedTheme() {
  try {
    const theme = localStorage.getItem("nyx-theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto";
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open || login.isOpen) return;
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === "Escape") {
    if (typing && topics.filter !== "") setFilter("");
    else if (typing) topics.focus();
    else if (selected) close();
  } else if (typing) {
    if (event.key === "ArrowDown" || event.key === "Enter") topics.focus();
    else return;
  } else if (event.key === "?") {
    $("help").showModal();
  } else if (event.key === "/") {
    $("filter").focus();
  } else if (event.key === "t") {
    topics.focus(selected?.name);
  } else {
    return;
  }
  event.preventDefault();
}

function setFilter(text) {
  $("filter").value = text;
  topics.filter = text;
  tick();
}

async function copy(button) {
  const code = button.previousElementSibling;
  try {
    await navigator.clipboard.writeText(code.textContent);
    setText(button, "Copied");
  } catch {
    // Without leave to use the clipboard the command is at least marked, ready for the keyboard.
    getSelection().selectAllChildren(code);
    setText(button, "Marked");
  }
  setTimeout(() => setText(button, "Copy"), 1500);
}

$("curl").textContent = $("curl").textContent.replace("127.0.0.1:6991", location.host);
$("theme").addEventListener("click", () => {
  setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
});
$("help-button").addEventListener("click", () => $("help").showModal());
$("skip").addEventListener("click", () => topics.focus());
$("close").addEventListener("click", close);
$("dismiss").addEventListener("click", () => { $("notice").hidden = true; });
$("retry").addEventListener("click", () => session.connect());
$("filter").addEventListener("input", () => setFilter($("filter").value));
for (const button of document.querySelectorAll("button.copy")) button.addEventListener("click", () => copy(button));
addEventListener("keydown", onKey);
addEventListener("hashchange", () => select(topicOf(location.hash)));
addEventListener("popstate", () => select(topicOf(location.hash)));
addEventListener("online", () => session.connect());
document.addEventListener("visibilitychange", () => { if (!document.hidden && link.state === "waiting") session.connect(); });

setTheme(storedTheme());
const statsSubscription = session.subscribe(STATS, 0, () => stats.resume());
select(topicOf(location.hash));
// Who may not come in is asked before the session tries it, and is refused and counted.
login.who().then((who) => {
  if (who !== "unknown") return session.connect();
  showLink({ state: "shut" });
  login.ask();
});
setInterval(tick, TICK_MS);
tick();
