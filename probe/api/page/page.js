// The live picture. It asks the API like anybody else and writes text only with textContent: a banner is data.
// What is on the page is as old as it says: when nobody answers, the page says so and fades what it last knew.

const PAGE_RESOURCES = 500;
const RELOAD_MS = 5000; // ages and evidence move without an edge
const RELOAD_SOON_MS = 300; // edges come in flocks: one reload for all of them
const EVENTS_SHOWN = 30;
const STATES = ["online", "online-pending", "offline-pending", "offline", "failed"];

const place = (id) => document.getElementById(id);
const rows = new Map(); // id -> the elements of a resource
const sections = new Map(); // name -> the elements of a group

let limit = PAGE_RESOURCES;
let shown = ""; // the one state to show, or all
let large = false; // more than fits: then the server filters, and nobody has counted
let skew_ms = 0; // the server's clock minus ours
let loaded_at = 0; // when the last answer came, our clock
let lost_at = 0; // when answers stopped coming
let timer = 0;
let due_at = Infinity; // when the next reload is due
let loading = false;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86400)} d`;
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString();
}

// --- the resources ---

function makeBadge(parent) {
  const badge = make("span", "badge");
  badge.append(make("span", "shape"), make("span", "word"));
  parent.append(badge);
  return badge;
}

function setBadge(badge, state) {
  badge.dataset.state = state;
  say(badge.lastChild, state);
}

function makeRow(id) {
  const row = make("li", "resource");
  row.id = `resource-${id}`;
  const badge = makeBadge(row);
  const name = make("div", "name");
  const link = make("a");
  link.href = `/api/v1/resources/${id.split("/").map(encodeURIComponent).join("/")}`;
  const type = make("span", "type");
  name.append(link, type);
  const why = make("div", "why");
  const reason = make("span", "reason");
  const doubt = make("span", "doubt");
  const cause = make("a", "cause");
  const evidence = make("code", "evidence");
  why.append(reason, doubt, cause, evidence);
  const facts = make("div", "facts");
  const age = make("span", "age");
  const since = make("span", "since");
  const restarts = make("span", "restarts");
  facts.append(age, since, restarts);
  row.append(name, why, facts);
  return { row, badge, link, type, reason, doubt, cause, evidence, age, since, restarts, told: null };
}

// A word of doubt where the level and the last answer differ, or where the answer is none.
function doubtOf(told) {
  if (told.stale) return "stale";
  if (told.verdict === "unknown" && told.reason !== "not_yet") return "cannot tell";
  if (told.state === "online" && !told.alive) return "not alive";
  return "";
}

function reasonOf(told) {
  if (told.waiting_for.length > 0) return `waiting for ${told.waiting_for.join(", ")}`;
  if (told.state === "offline" && told.desired === "offline") return "taken offline";
  return told.reason.replaceAll("_", " ");
}

function showRow(parts, told) {
  parts.told = told;
  const name = told.id.slice(told.id.indexOf("/") + 1);
  setBadge(parts.badge, told.state);
  parts.row.dataset.state = told.state;
  parts.row.dataset.verdict = told.verdict;
  say(parts.link, name);
  say(parts.type, told.type === name ? "" : told.type);
  say(parts.reason, reasonOf(told));
  say(parts.doubt, doubtOf(told));
  const elsewhere = told.root_cause !== null && told.root_cause !== told.id;
  parts.row.dataset.caused = String(elsewhere);
  say(parts.cause, elsewhere ? `because of ${told.root_cause}` : "");
  if (elsewhere) parts.cause.href = `#resource-${told.root_cause}`;
  else parts.cause.removeAttribute("href");
  say(parts.evidence, told.evidence);
  const left = told.state === "online" ? "" : `, ${told.restarts_left} left`;
  say(parts.restarts, told.restarts === 0 ? "" : `restarted ${told.restarts}×${left}`);
  showTime(parts);
}

function showTime({ told, age, since }) {
  const passed_s = (Date.now() - loaded_at) / 1000;
  const age_s = told.age_s + passed_s;
  if (told.age_s === null) say(age, unasked(told));
  else say(age, age_s < 2 ? "checked just now" : `checked ${duration(age_s)} ago`);
  say(since, `${told.state} for ${duration((Date.now() + skew_ms) / 1000 - told.since)}`);
}

// Without a reading: no check yet, or a type whose health is its controller's word.
function unasked({ state, pid }) {
  if (state !== "online") return "not checked yet";
  return pid === null ? "no check of its own" : `process ${pid} runs`;
}

// --- the groups ---

function makeSection(name) {
  const section = make("section", "group");
  const head = make("h2");
  const title = make("span", "title", name);
  const badge = makeBadge(head);
  const owner = make("span", "owner");
  head.prepend(title);
  head.append(owner);
  const list = make("ul", "resources");
  section.append(head, list);
  return { section, badge, owner, list };
}

function keep(map, wanted, element) {
  for (const [key, parts] of map) {
    if (!wanted.has(key)) {
      parts[element].remove();
      map.delete(key);
    }
  }
}

// Put the child at the position, touching the document only when it is not there already.
function seat(parent, child, position) {
  if (parent.children[position] !== child) parent.insertBefore(child, parent.children[position] ?? null);
}

function show(status) {
  large = status.next !== null || (large && shown !== "");
  say(place("node"), `on ${status.node}`);
  const visible = status.resources.filter((told) => shown === "" || told.state === shown);
  const used = new Set(visible.map((told) => told.id.slice(0, told.id.indexOf("/"))));
  const groups = status.groups.filter((group) => used.has(group.name));
  keep(rows, new Set(visible.map((told) => told.id)), "row");
  keep(sections, new Set(groups.map((group) => group.name)), "section");
  groups.forEach((group, position) => {
    if (!sections.has(group.name)) sections.set(group.name, makeSection(group.name));
    const parts = sections.get(group.name);
    setBadge(parts.badge, group.state);
    say(parts.owner, `on ${group.owner || "no node"}, ${group.resources} ${group.resources === 1 ? "resource" : "resources"}`);
    seat(place("groups"), parts.section, position);
  });
  const positions = new Map();
  for (const told of visible) {
    if (!rows.has(told.id)) rows.set(told.id, makeRow(told.id));
    const name = told.id.slice(0, told.id.indexOf("/"));
    const position = positions.get(name) ?? 0;
    positions.set(name, position + 1);
    const parts = rows.get(told.id);
    showRow(parts, told);
    if (sections.has(name)) seat(sections.get(name).list, parts.row, position);
  }
  place("more").hidden = status.next === null;
  showCounts(status.resources);
  const nothing = shown === "" ? "There are no resources yet: the store is empty." : `No resource is ${shown}.`;
  say(place("notice"), visible.length === 0 ? nothing : "");
}

function showCounts(resources) {
  const counts = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const told of resources) counts[told.state] += 1;
  for (const button of place("counts").children) {
    const state = button.dataset.show;
    const count = state === "" ? resources.length : counts[state];
    say(button.lastChild, large ? "" : String(count));
    button.setAttribute("aria-pressed", String(state === shown));
    button.classList.toggle("none", !large && count === 0);
  }
  const failed = counts.failed;
  document.title = large ? "looksalive" : failed > 0 ? `${failed} failed · looksalive` : "all well · looksalive";
  if (!large && failed === 0 && counts.online < resources.length) document.title = "looksalive";
}

function makeCounts() {
  for (const state of ["", ...STATES]) {
    const button = make("button");
    button.type = "button";
    button.dataset.show = state;
    if (state === "") button.append(make("span", "word", "all"));
    else setBadge(makeBadge(button), state);
    button.append(make("span", "count"));
    button.addEventListener("click", () => {
      shown = state;
      load();
    });
    place("counts").append(button);
  }
}

// --- asking ---

// Only ever bring the next reload forward: a flood of edges must not put it off for ever.
function reloadIn(milliseconds) {
  const due = Date.now() + milliseconds;
  if (due >= due_at) return;
  clearTimeout(timer);
  due_at = due;
  timer = setTimeout(load, milliseconds);
}

async function load() {
  clearTimeout(timer);
  due_at = Infinity;
  if (loading) return reloadIn(RELOAD_SOON_MS); // one question at a time: answers cannot overtake each other
  loading = true;
  const query = new URLSearchParams({ limit: String(limit) });
  if (large && shown !== "") query.set("state", shown);
  try {
    const answer = await fetch(`/api/v1/status?${query}`, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const status = await answer.json();
    loaded_at = Date.now();
    skew_ms = Date.parse(answer.headers.get("Date")) - loaded_at || 0;
    lost_at = 0;
    show(status);
  } catch {
    lost_at ||= Date.now();
  }
  loading = false;
  showLink();
  reloadIn(RELOAD_MS);
}

function showLink() {
  document.body.classList.toggle("lost", lost_at !== 0);
  const link = place("link");
  link.dataset.state = lost_at === 0 ? "live" : "lost";
  if (lost_at === 0) say(link, "live");
  else if (loaded_at === 0) say(link, "no answer");
  else say(link, `no answer for ${duration((Date.now() - loaded_at) / 1000)}: what you see is old`);
}

function showEvent(event) {
  const item = make("li");
  const change = make("span", "change");
  change.append(make("span", "from", event.from), " → ", make("span", "to", event.to));
  change.lastChild.dataset.state = event.to;
  item.append(make("time", "", clock(event.time)), make("strong", "", event.id), change);
  item.append(make("span", "reason", event.reason.replaceAll("_", " ")));
  if (event.root_cause !== null && event.root_cause !== event.id) {
    item.append(make("span", "cause", `because of ${event.root_cause}`));
  }
  item.append(make("span", "trigger", `by ${event.trigger}`));
  place("events").prepend(item);
  while (place("events").children.length > EVENTS_SHOWN) place("events").lastChild.remove();
  place("history").hidden = false;
}

function follow() {
  const stream = new EventSource("/api/v1/stream");
  stream.onopen = () => reloadIn(RELOAD_SOON_MS); // what happened while we were away is in the status
  stream.onmessage = (message) => {
    showEvent(JSON.parse(message.data));
    reloadIn(RELOAD_SOON_MS);
  };
  stream.addEventListener("overrun", () => reloadIn(RELOAD_SOON_MS));
}

makeCounts();
place("more").addEventListener("click", () => {
  limit += PAGE_RESOURCES;
  load();
});
document.addEventListener("visibilitychange", () => document.hidden || load());
setInterval(() => {
  for (const parts of rows.values()) showTime(parts);
  showLink();
}, 1000);
load();
follow();
