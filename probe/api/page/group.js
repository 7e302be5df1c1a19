// One group of the overview: its state, what is to blame in a sentence, its graph, its resources.

import { now_s } from "./ask.js";
import { openAction, openMaintenance } from "./action.js";
import { keep, link, make, makeBadge, press, say, seat, setBadge } from "./dom.js";
import { makeGraph } from "./graph.js";
import { makeRow } from "./row.js";
import { causes, count, duration } from "./words.js";

export function makeGroup(name) {
  const badge = makeBadge();
  const owner = make("span", "owner");
  const kept = make("span", "maintenance");
  const verbs = make("span", "verbs");
  const rest = press("Maintenance", "", () => openMaintenance(name, rest.getAttribute("aria-pressed") !== "true"));
  for (const verb of ["online", "offline"]) {
    verbs.append(press(`Take ${verb}`, "", () => openAction(verb, name, `/api/v1/groups/${encodeURIComponent(name)}/${verb}`)));
  }
  verbs.append(rest);
  const head = make("div", "head", make("h2", "", link(`#/group/${name}`, name)), badge, kept, owner, verbs);
  const blame = make("div", "blame");
  const graph = makeGraph(name);
  const list = make("ul", "resources");
  const root = make("section", "group", head, blame, graph.root, list);
  root.setAttribute("aria-label", `group ${name}`);
  const rows = new Map();
  let size = 0;
  let said = "";

  function show(group, resources) {
    size = group.resources;
    setBadge(badge, group.state);
    const mounted = group.storage_groups > 0 ? `, ${count(group.storage_groups, "storage group")}` : "";
    say(owner, `on ${group.owner || "no node"}, ${count(group.resources, "resource")}${mounted}`);
    showMaintenance(group.maintenance);
    keep(rows, new Set(resources.map((told) => told.id)));
    resources.forEach((told, position) => {
      if (!rows.has(told.id)) rows.set(told.id, makeRow(told.id));
      rows.get(told.id).show(told);
      seat(list, rows.get(told.id).root, position);
    });
    paint();
  }

  function showMaintenance(maintenance) {
    rest.setAttribute("aria-pressed", String(maintenance !== null));
    root.classList.toggle("resting", maintenance !== null);
    if (maintenance === null) return say(kept, "");
    const left = maintenance.until === null ? "" : `, ${duration(maintenance.until - now_s())} left`;
    say(kept, `maintenance by ${maintenance.owner}${left}`);
  }

  // What follows from the rows as they are: the sentences and the colours of the graph.
  function paint() {
    const resources = [...rows.values()].map((row) => row.told());
    graph.show(resources, size);
    const found = causes(resources);
    const text = JSON.stringify(found);
    if (text === said) return;
    said = text;
    blame.replaceChildren(...found.map(sentence));
  }

  function edge(event) {
    rows.get(event.id)?.edge(event);
    if (rows.has(event.id)) paint();
  }

  const tick = () => rows.forEach((row) => row.tick());
  const close = () => rows.forEach((row) => row.close());
  return { root, show, edge, tick, close };
}

function sentence({ cause, before, behind }) {
  const who = make("strong", "", link(`#/resource/${cause}`, cause.slice(cause.indexOf("/") + 1)));
  return make("p", "", before, who, behind);
}
