// The live picture: which view is open, how fresh it is, and what arrives. It asks the API like anybody else.
// What is on the page is as old as it says: when nobody answers, the page says so and fades what it last knew.

import { Refused } from "./ask.js";
import { openCreate } from "./create.js";
import { make, place, say } from "./dom.js";
import { openEvents } from "./events.js";
import { openOverview } from "./overview.js";
import { openPlan } from "./plan.js";
import { openResource } from "./resource.js";
import { duration } from "./words.js";

const RELOAD_MS = 5000; // ages and evidence move without an edge
const RELOAD_SOON_MS = 300; // edges come in flocks: one reload for all of them
const PATIENCE = 4; // so many times as long as an answer took, the server is left alone

const VIEWS = {
  "": openOverview,
  group: openOverview,
  wall: (root) => openOverview(root, "", true),
  resource: openResource,
  events: openEvents,
  plan: openPlan,
  create: openCreate,
};

let view = null;
let loaded_at = 0; // when the last answer came
let lost_at = 0; // when answers stopped coming
let took_ms = 0;
let timer = 0;
let due_at = Infinity; // when the next reload is due
let stream = null;
let loading = null; // the view that is being loaded

function open() {
  const [name = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const known = Object.hasOwn(VIEWS, name) ? name : "";
  const moved = view !== null;
  view?.close?.();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  const root = make("div", `view of-${known || "overview"}`);
  place("view").replaceChildren(root);
  const wall = known === "wall";
  document.documentElement.classList.toggle("wall", wall);
  place("wall").href = wall ? "#/" : "#/wall";
  say(place("wall"), wall ? "Back to the desk" : "For a wall screen");
  view = VIEWS[known](root, known === name ? rest.map(decoded).join("/") : "");
  showTitle();
  for (const link of place("views").children) {
    if (link.getAttribute("href") === `#/${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (moved) {
    place("view").focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
  load();
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// Only ever bring the next reload forward: a flood of edges must not put it off for ever.
function reloadIn(milliseconds) {
  const due = Date.now() + Math.max(milliseconds, PATIENCE * took_ms);
  if (due >= due_at) return;
  clearTimeout(timer);
  due_at = due;
  timer = setTimeout(load, due - Date.now());
}

async function load() {
  clearTimeout(timer);
  due_at = Infinity;
  if (loading === view) return reloadIn(RELOAD_SOON_MS); // one question at a time: answers cannot overtake each other
  const mine = view;
  loading = mine;
  const began = Date.now();
  try {
    await mine.load();
    loaded_at = Date.now();
    took_ms = loaded_at - began;
    lost_at = 0;
  } catch (error) {
    if (!(error instanceof Refused)) reportError(error); // a fault of the page's own: the console has it
    took_ms = 0; // who did not answer is asked again at the usual pace
    lost_at ||= Date.now();
  }
  if (loading === mine) loading = null;
  showTitle();
  showLink();
  reloadIn(RELOAD_MS);
}

// Said here alone, by the view that is open: an answer that comes after its view was left must not name the page.
function showTitle() {
  document.title = [view.title(), "looksalive"].filter(Boolean).join(" · ");
}

function showLink() {
  document.body.classList.toggle("lost", lost_at !== 0);
  const link = place("link");
  link.dataset.state = lost_at === 0 ? "live" : "lost";
  if (lost_at === 0) say(link, loaded_at === 0 ? "connecting" : "live");
  else if (loaded_at === 0) say(link, "no answer");
  else say(link, `no answer for ${duration((Date.now() - loaded_at) / 1000)}: what you see is old`);
}

// A browser has six connections to a server for all its tabs: one that is not to be seen gives its stream back, and a
// page that is kept for "back" too.
function follow() {
  if (stream !== null || document.hidden) return;
  stream = new EventSource("/api/v1/stream");
  stream.onopen = () => reloadIn(RELOAD_SOON_MS); // what happened while we were away is in the status
  stream.onmessage = (message) => {
    view.edge?.(JSON.parse(message.data));
    reloadIn(RELOAD_SOON_MS);
  };
  stream.addEventListener("overrun", () => reloadIn(RELOAD_SOON_MS));
}

function leave() {
  stream?.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return leave();
  follow();
  load();
});
window.addEventListener("pagehide", leave);
window.addEventListener("pageshow", follow);
window.addEventListener("hashchange", open);
setInterval(() => {
  view.tick?.();
  showTitle();
  showLink();
}, 1000);
open();
follow();
