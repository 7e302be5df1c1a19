// One resource: what it is, why, what it said last, how quick it is, what happened to it, and what can be done.

import { openAction } from "./action.js";
import { now_s, pathOf, read } from "./ask.js";
import { link, make, makeBadge, press, say, setBadge } from "./dom.js";
import { makeStrip } from "./strip.js";
import { drawStages, showTranscripts } from "./details.js";
import { makeTimeline } from "./timeline.js";
import { count, doubtOf, duration, groupOf, nameOf, restartsOf, whyNot } from "./words.js";

const VERBS = ["online", "offline", "restart", "terminate", "upgrade"];
const HOPS_MAX = 8;
const STRIP_MINUTES = 120;

export function openResource(root, id) {
  const badge = makeBadge();
  const doubt = make("span", "doubt");
  const verbs = make("div", "verbs");
  for (const verb of VERBS) {
    verbs.append(press(verb, "", () => openAction(verb, id, `/api/v1/resources/${pathOf(id)}/${verb}`)));
  }
  const what = make("a", "", "What if it dies?");
  what.href = `#/plan/kill/${id}`;
  verbs.append(what);
  const why = make("ol", "why-chain");
  const facts = make("dl", "facts-list");
  const strip = makeStrip(id, STRIP_MINUTES);
  const stages = make("div", "stages");
  const charted = makeCharted(id);
  const timeline = makeTimeline(id);
  const said = make("div", "said");
  const missing = make("p", "notice");
  missing.hidden = true;
  const title = make("h2", "", link(`#/group/${groupOf(id)}`, groupOf(id)), " / ", nameOf(id));
  const body = make("div", "panels");
  body.append(
    panel("Why", why),
    panel("Facts", facts),
    panel("The last two hours", strip.root),
    panel("Latency by stage", stages, charted.root),
    panel("States", timeline.root),
    panel("What it said last when it was not alive", said),
  );
  root.append(make("div", "head", title, badge, doubt), missing, verbs, body);
  let told = null;

  async function load() {
    const path = `/api/v1/resources/${pathOf(id)}`;
    try {
      told = await read(path);
    } catch (error) {
      if (error.status !== 404) throw error;
      say(missing, `There is no resource ${id} any more.`);
      return;
    }
    say(missing, "");
    setBadge(badge, told.state);
    say(doubt, doubtOf(told));
    showFacts();
    strip.touch();
    timeline.freshen();
    const [times, dialogues, chain] = await Promise.all([read(`${path}/stages`), read(`${path}/transcript`), chainOf(told)]);
    why.replaceChildren(...chain.map((each) => make("li", "", makeBadge(each.state), make("span", "", whyNot(each)), ...away(each.id))));
    stages.replaceChildren(drawStages(times.stages));
    charted.show(times.stages, told.age_s === null ? now_s() : now_s() - told.age_s);
    if (said.dataset.told !== JSON.stringify(dialogues)) {
      said.dataset.told = JSON.stringify(dialogues); // an opened dialogue stays open
      said.replaceChildren(...showTranscripts(dialogues.transcripts));
    }
  }

  const away = (other) => (other === id ? [] : [link(`#/resource/${other}`, "look")]);

  function showFacts() {
    const pairs = [
      ["type", told.type],
      ["controller", told.controller],
      ["wanted", told.desired],
      ["state", `${told.state} for ${duration(now_s() - told.since)}`],
      ["last check", told.age_s === null ? "none" : `${told.verdict}, ${duration(told.age_s)} ago`],
      ["answer", told.evidence],
      ["process", told.pid],
      ["progress", told.progress],
      ["restarts", restartsOf(told) || "none"],
      ["budget", `${count(told.restarts_left, "restart")} left`],
      ["needs", told.depends_on.map((each) => link(`#/resource/${each}`, each))],
    ];
    facts.replaceChildren(
      ...pairs
        .filter(([, value]) => value !== null && value !== "" && value.length !== 0)
        .flatMap(([name, value]) => [make("dt", "", name), make("dd", "", ...(Array.isArray(value) ? value.flatMap((one) => [one, " "]) : [String(value)]))]),
    );
  }

  function edge(event) {
    if (event.id !== id || event.kind !== "state") return;
    setBadge(badge, event.to);
    strip.touch(true);
    timeline.freshen(true);
  }

  function close() {
    strip.close();
    charted.close();
  }

  return { title: () => id, load, edge, tick: () => told && showFacts(), close };
}

// The charts, and the library that draws them, come when they are asked for.
function makeCharted(id) {
  let charts = null;
  let last = null;
  const open = press("Charts", "", async () => {
    open.disabled = true;
    try {
      const { openCharts } = await import("./chart.js");
      if (closed) return;
      charts = openCharts(id);
      if (last !== null) charts.sample(...last);
      root.replaceChildren(charts.root);
    } catch {
      open.disabled = false;
      root.append(make("p", "refused", "The charts did not arrive; is looksalive running, and reachable from here?"));
    }
  });
  let closed = false;
  const root = make("div", "charted", open);

  function show(...times) {
    last = times;
    root.hidden = charts === null && times[0].length === 0;
    charts?.sample(...times);
    charts?.tick();
  }

  function close() {
    closed = true;
    charts?.close();
  }

  return { root, show, close };
}

// From the resource down to what is really to blame.
async function chainOf(told) {
  const chain = [told];
  const seen = new Set([told.id]);
  let at = told;
  while (chain.length < HOPS_MAX && at.state !== "online") {
    const next = [...at.waiting_for, at.root_cause].find((id) => id && !seen.has(id));
    if (next === undefined) break;
    seen.add(next);
    try {
      at = await read(`/api/v1/resources/${pathOf(next)}`);
    } catch {
      break;
    }
    chain.push(at);
  }
  return chain;
}

function panel(title, ...content) {
  const section = make("section", "panel", make("h3", "", title), ...content);
  section.setAttribute("aria-label", title);
  return section;
}
