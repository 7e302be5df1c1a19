// What happened, as it happens, the newest first.

import { readEvents } from "./ask.js";
import { link, make, makeBadge, say } from "./dom.js";
import { moment, plain } from "./words.js";

const SHOWN = 500;

export function openEvents(root) {
  const field = make("input");
  field.type = "search";
  field.placeholder = "any";
  field.addEventListener("input", sift);
  const list = make("ol", "events");
  const notice = make("p", "notice", "reading");
  root.append(make("div", "bar", make("h2", "", "Events"), make("label", "", "Only with ", field)), notice, list);
  let last = 0;
  let begun = false;

  async function load() {
    const asked = last;
    const { events, anew } = await readEvents(asked);
    if (last !== asked) return; // the stream was quicker
    if (anew) list.replaceChildren();
    for (const event of events.slice(-SHOWN)) add(event);
    begun = true;
    sift();
  }

  function add(event) {
    last = event.seq;
    list.prepend(showEvent(event));
    while (list.children.length > SHOWN) list.lastChild.remove();
  }

  // The stream may bring what the first reading brings too, and it may begin behind a gap.
  function edge(event) {
    if (!begun || event.seq !== last + 1) return;
    add(event);
    sift();
  }

  function sift() {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    for (const item of list.children) {
      item.hidden = wanted !== "" && !item.textContent.toLowerCase().includes(wanted);
      shown += item.hidden ? 0 : 1;
    }
    say(notice, shown > 0 ? "" : wanted ? "No event has that in it." : "Nothing has happened since the start.");
  }

  return { title: () => "Events", load, edge };
}

export function showEvent(event, named = true) {
  const item = make("li");
  item.dataset.seq = event.seq;
  const time = make("time", "", moment(event.time));
  time.dateTime = new Date(event.time * 1000).toISOString();
  item.append(time);
  if (named) item.append(make("strong", "", event.id.includes("/") ? link(`#/resource/${event.id}`, event.id) : event.id));
  if (event.kind === "state") item.append(make("span", "change", make("span", "from", event.from), " → ", makeBadge(event.to)));
  else item.append(make("span", "change", [event.kind, event.from, event.to].filter(Boolean).join(" ")));
  if (event.reason !== "matched") item.append(make("span", "reason", plain(event.reason)));
  if (event.root_cause !== null && event.root_cause !== event.id) item.append(make("span", "cause", `because of ${event.root_cause}`));
  item.append(make("span", "trigger", `by ${event.trigger}`));
  if (event.evidence !== "") item.append(make("code", "evidence", event.evidence));
  return item;
}
