// What if: an event is supposed, and the steps that would follow are told in their order. Nothing is done.

import { foresee, pathOf, read } from "./ask.js";
import { openAction } from "./action.js";
import { make, press } from "./dom.js";
import { showPlan } from "./steps.js";

const EVENTS = [
  ["kill", "its process dies"],
  ["fail", "its check fails"],
  ["offline", "I take it offline"],
  ["online", "I take it online"],
  ["restart", "I restart it"],
  ["terminate", "I terminate it"],
  ["upgrade", "I upgrade it"],
  ["drain", "the stops to come are planned"],
  ["node-down", "this node dies"],
];
const OF_ALL = ["drain", "node-down"]; // they have no target
const VERBS = ["online", "offline", "restart", "terminate", "upgrade"];
const OF_GROUPS = ["online", "offline"];
const TARGETS_LISTED = 500;

export function openPlan(root, argument) {
  const [asked = "", ...rest] = argument.split("/");
  const event = make("select");
  event.id = "plan-event";
  for (const [name, words] of EVENTS) event.append(new Option(words, name, false, name === asked));
  const target = make("input");
  target.id = "plan-target";
  target.value = rest.join("/");
  target.placeholder = "evs1/store";
  target.autocomplete = "off";
  const names = make("datalist");
  names.id = "plan-names";
  target.setAttribute("list", names.id);
  const answer = make("div", "answer");
  answer.setAttribute("aria-live", "polite");
  const form = make("form", "ask", make("label", "", "Of ", target, names), make("label", "", "suppose that ", event), make("button", "primary", "Tell me"));
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    tell().catch(() => {});
  });
  root.append(make("h2", "", "What if"), make("p", "lead", "Suppose that something happens, and read what would follow, step by step. Nothing is done."), form, answer);

  const showTarget = () => {
    target.disabled = OF_ALL.includes(event.value);
  };
  event.addEventListener("change", showTarget);
  showTarget();

  async function tell() {
    answer.replaceChildren(make("p", "quiet", "working it out"));
    try {
      const plan = await foresee(event.value, OF_ALL.includes(event.value) ? "" : target.value.trim());
      answer.replaceChildren(showPlan(plan), ...offer(plan));
    } catch (error) {
      answer.replaceChildren(make("p", "refused", error.message));
    }
  }

  async function load() {
    if (names.children.length > 0) return;
    const status = await read(`/api/v1/status?limit=${TARGETS_LISTED}`);
    const ids = [...status.groups.slice(0, TARGETS_LISTED).map((group) => group.name), ...status.resources.map((told) => told.id)];
    names.replaceChildren(...ids.map((id) => new Option(id)));
  }

  if (asked && (rest.length > 0 || OF_ALL.includes(asked))) tell();
  return { title: () => "What if", load };
}

// A plan of a verb can be carried out from here; the dialog shows it again as it is then.
function offer({ event, target, refused }) {
  const group = !target.includes("/");
  if (refused !== "" || !(group ? OF_GROUPS : VERBS).includes(event)) return [];
  const path = `/api/v1/${group ? "groups" : "resources"}/${pathOf(target)}/${event}`;
  return [make("p", "", press(`Do it: ${event} ${target}`, "primary", () => openAction(event, target, path)))];
}
