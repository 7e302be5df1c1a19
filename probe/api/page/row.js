// One resource of the overview: its state, why, its last hour, its age.

import { now_s } from "./ask.js";
import { link, make, makeBadge, say, setBadge } from "./dom.js";
import { makeStrip } from "./strip.js";
import { doubtOf, duration, nameOf, reasonOf, restartsOf } from "./words.js";

export function makeRow(id) {
  const badge = makeBadge();
  const name = link(`#/resource/${id}`, nameOf(id));
  const type = make("span", "type");
  const reason = make("span", "reason");
  const doubt = make("span", "doubt");
  const cause = make("a", "cause");
  const evidence = make("code", "evidence");
  const age = make("span", "age");
  const since = make("span", "since");
  const restarts = make("span", "restarts");
  const strip = makeStrip(id);
  const root = make(
    "li",
    "resource",
    badge,
    make("div", "name", name, type),
    make("div", "why", reason, doubt, cause, evidence),
    strip.root,
    make("div", "facts", since, age, restarts),
  );
  let told = null;
  let told_at = 0;

  function show(status) {
    told = status;
    told_at = now_s();
    setBadge(badge, told.state);
    root.dataset.state = told.state;
    root.dataset.verdict = told.verdict;
    say(type, told.type === nameOf(id) ? "" : told.type);
    say(reason, told.reason === "matched" && told.evidence !== "" ? "" : reasonOf(told)); // the answer says it itself
    say(doubt, doubtOf(told));
    const elsewhere = told.root_cause !== null && told.root_cause !== id;
    root.dataset.caused = String(elsewhere);
    say(cause, elsewhere ? `because of ${told.root_cause}` : "");
    if (elsewhere) cause.href = `#/resource/${told.root_cause}`;
    else cause.removeAttribute("href");
    say(evidence, told.evidence);
    say(restarts, restartsOf(told));
    tick();
  }

  // An edge, ahead of the status that tells the whole.
  function edge(event) {
    strip.touch(true);
    show({ ...told, state: event.to, reason: event.reason, evidence: event.evidence, root_cause: event.root_cause, since: event.time, alive: event.to === "online" });
  }

  function tick() {
    if (told.age_s === null) say(age, "");
    else {
      const age_s = told.age_s + now_s() - told_at;
      say(age, age_s < 2 ? "checked just now" : `checked ${duration(age_s)} ago`);
    }
    say(since, `for ${duration(now_s() - told.since)}`);
    strip.touch();
  }

  return { root, show, edge, tick, close: strip.close, told: () => told };
}
