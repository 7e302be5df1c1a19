// A plan in words: its steps in their order, whom it would alert about, and what would be how afterwards.

import { link, make, makeBadge } from "./dom.js";
import { count, list, plain } from "./words.js";

export function showPlan({ event, steps, fates, alerts, refused, ended }) {
  if (event === "node-down") return showPlaces(fates, ended);
  const parts = [];
  if (refused !== "") parts.push(make("p", "refused", `This would be refused: ${refused}`));
  if (steps.length > 0) parts.push(make("ol", "steps", ...waves(steps)));
  else parts.push(make("p", "quiet", "Nothing would follow."));
  if (ended !== "") parts.push(make("p", "quiet", `The plan ends here: ${ended}.`));
  for (const { id, reason, blamed } of alerts) {
    const down = blamed.length === 0 ? "" : `; down because of it: ${list(blamed)}`;
    parts.push(make("p", "alert", `One alert: ${id} (${plain(reason)})${down}.`));
  }
  if (fates.length > 0) parts.push(make("h3", "", `Afterwards (${count(fates.length, "resource")})`), showFates(fates));
  return make("div", "plan", ...parts);
}

// Steps of one wave happen side by side.
function waves(steps) {
  const found = new Map();
  for (const step of steps) {
    if (!found.has(step.wave)) found.set(step.wave, []);
    found.get(step.wave).push(step);
  }
  return [...found.values()].map((wave) => {
    const after = wave[0].at_s > 0 ? [make("span", "at", `after ${wave[0].at_s} s`)] : [];
    return make("li", "", ...after, make("ul", "", ...wave.map((step) => make("li", `step ${step.kind}`, step.text))));
  });
}

function showFates(fates) {
  const rows = fates.map(({ id, before, after, why }) =>
    make("li", "fate", link(`#/resource/${id}`, id), ...changeOf(before, after), make("span", "quiet", why)),
  );
  return make("ul", "fates", ...rows);
}

const changeOf = (before, after) =>
  before === after ? [makeBadge(after), make("span", "quiet", "again")] : [fateBadge(before, "new"), make("span", "arrow", "→"), fateBadge(after, "gone")];
const fateBadge = (state, none) => (state === "" ? make("span", "quiet", none) : makeBadge(state));

// Where each group would go.
function showPlaces(fates, ended) {
  const rows = fates.map(({ id, before, after, why }) =>
    make("li", "fate", link(`#/group/${id}`, id), make("span", "", `${before} → ${after || "no other node"}`), make("span", "quiet", why)),
  );
  return make("div", "plan", make("h3", "", "Where its groups would go"), make("ul", "fates", ...rows), make("p", "quiet", `${ended}.`));
}
