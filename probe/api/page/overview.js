// All groups, or one: filtered and paged by the server, so that a hundred thousand resources are as quick as ten.

import { read } from "./ask.js";
import { keep, link, make, makeBadge, place, press, say, seat } from "./dom.js";
import { makeGroup } from "./group.js";
import { count, groupOf } from "./words.js";

const PAGE_RESOURCES = 200;
const STATES = ["online", "online-pending", "offline-pending", "offline", "failed"];
const GROUPS_LISTED = 1000;

// On a wall nobody turns pages: of more than fits on one, what has failed is shown.
export function openOverview(root, only, wall = false) {
  const counts = make("nav", "counts");
  counts.setAttribute("aria-label", "Show only one state");
  const facts = make("div", "facts-line");
  const notice = make("p", "notice");
  notice.setAttribute("role", "status");
  const groups = make("div", "groups");
  const back = press("‹ Previous", "", () => turn(pages.slice(0, -1)));
  const forth = press("Next ›", "", () => turn([...pages, following]));
  const pager = make("p", "pager", back, make("span", "quiet"), forth);
  const chooser = makeChooser(only);
  root.append(make("div", "bar", counts, chooser.root), facts, notice, groups, pager);

  const sections = new Map();
  let shown = ""; // the one state to show, or all
  let pages = [""]; // the `after` of each page up to this one
  let following = null; // the `after` of the next page
  let whole = false; // everything there is fits on the page: then it can be counted
  let title = only ? `Group ${only}` : "";

  for (const state of ["", ...STATES]) {
    const button = press("", "", () => {
      shown = state;
      turn([""]);
    });
    button.dataset.show = state;
    button.append(state === "" ? make("span", "word", "all") : makeBadge(state), make("span", "count"));
    counts.append(button);
  }

  function turn(to) {
    pages = to;
    following = null;
    return load().then(() => window.scrollTo(0, 0), () => {});
  }

  async function load() {
    const query = new URLSearchParams({ limit: String(PAGE_RESOURCES) });
    const asked = { shown, after: pages.at(-1) };
    if (only) query.set("group", only);
    if (shown && !whole) query.set("state", shown);
    if (asked.after) query.set("after", asked.after);
    try {
      const status = await read(`/api/v1/status?${query}`);
      if (asked.shown === shown && asked.after === pages.at(-1)) show(status, query.has("state"));
      return status;
    } catch (error) {
      if (error.code === "bad_query" && asked.after) pages = [""]; // the resource that the page began behind is gone
      throw error;
    }
  }

  function show(status, filtered) {
    following = status.next;
    const first = pages.length === 1;
    if (!filtered) whole = first && following === null;
    if (wall && !whole && shown === "") {
      shown = "failed";
      return turn([""]);
    }
    const visible = status.resources.filter((told) => shown === "" || told.state === shown);
    const members = new Map();
    for (const told of visible) {
      const name = groupOf(told.id);
      if (!members.has(name)) members.set(name, []);
      members.get(name).push(told);
    }
    const present = status.groups.filter((group) => members.has(group.name));
    keep(sections, new Set(present.map((group) => group.name)));
    present.forEach((group, position) => {
      if (!sections.has(group.name)) sections.set(group.name, makeGroup(group.name));
      seat(groups, sections.get(group.name).root, position);
      sections.get(group.name).show(group, members.get(group.name));
    });
    showCounts(status.resources);
    showFacts(facts, status);
    chooser.show(status.groups);
    pager.hidden = first && following === null;
    back.disabled = first;
    forth.disabled = following === null;
    say(pager.children[1], `page ${pages.length}`);
    const nothing = shown !== "" ? `No resource is ${shown}.` : only ? `There is no group ${only}, or it is empty.` : "There are no resources yet: the store is empty.";
    say(notice, visible.length === 0 ? nothing : "");
  }

  function showCounts(resources) {
    const found = Object.fromEntries(STATES.map((state) => [state, 0]));
    for (const told of resources) found[told.state] += 1;
    for (const button of counts.children) {
      const state = button.dataset.show;
      const number = state === "" ? resources.length : found[state];
      say(button.lastChild, whole ? String(number) : "");
      button.setAttribute("aria-pressed", String(state === shown));
      button.classList.toggle("none", whole && number === 0);
    }
    const well = found.failed === 0 && found.online === resources.length ? "all well" : "";
    title = !whole ? "" : found.failed > 0 ? `${found.failed} failed` : well;
  }

  const edge = (event) => event.kind === "state" && sections.get(groupOf(event.id))?.edge(event);
  const tick = () => sections.forEach((section) => section.tick());
  const close = () => sections.forEach((section) => section.close());
  return { title: () => title, load, edge, tick, close };
}

// A group by its name; thousands are typed rather than picked.
function makeChooser(only) {
  const names = make("datalist");
  names.id = "group-names";
  const field = make("input");
  field.setAttribute("list", names.id);
  field.placeholder = "all groups";
  field.value = only;
  field.addEventListener("change", () => {
    const wanted = field.value.trim();
    location.hash = wanted ? `#/group/${wanted}` : "#/";
  });
  const root = make("label", "chooser", "Group ", field, names);
  let listed = 0;

  function show(groups) {
    if (only || groups.length === listed) return;
    listed = groups.length;
    names.replaceChildren(...groups.slice(0, GROUPS_LISTED).map((group) => new Option(group.name)));
  }

  return { root, show };
}

// What concerns the whole node: room for storage groups, and the directory that other tools share.
function showFacts(parent, { node, storage_groups, directory }) {
  say(place("node"), `on ${node}`);
  const facts = [];
  if (storage_groups.used > 0) {
    const full = storage_groups.used >= storage_groups.max;
    facts.push(make("span", full ? "chip full" : "chip", `${storage_groups.used} of ${storage_groups.max} storage groups mounted${full ? ": no room for more" : ""}`));
  }
  if (directory !== null) facts.push(directoryFacts(directory));
  if (parent.dataset.said === JSON.stringify([storage_groups, directory])) return; // an opened list stays open
  parent.dataset.said = JSON.stringify([storage_groups, directory]);
  parent.replaceChildren(...facts);
}

function directoryFacts({ place: where, pending, differences, drift, error }) {
  const words = [pending ? "not told everything yet" : "", differences > 0 ? count(differences, "difference") : "", error ? `cannot be read: ${error}` : ""].filter(Boolean);
  if (words.length === 0) return make("span", "chip", `directory ${where}: the same`);
  const items = drift.map((one) => make("li", "", link(`#/resource/${one.id}`, one.id), ` ${one.kind} ${one.property}: `, make("code", "", shownValue(one.store)), " here, ", make("code", "", shownValue(one.directory)), " there"));
  return make("details", "chip flagged", make("summary", "", `directory ${where}: ${words.join(", ")}`), make("ul", "", ...items));
}

const shownValue = (value) => (value === undefined ? "nothing" : JSON.stringify(value));
