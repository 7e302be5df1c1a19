// Doing something: first what it would lead to, then the confirmation, then how far it is.

import { foresee, hasToken, order, read, setToken } from "./ask.js";
import { make, press } from "./dom.js";
import { showPlan } from "./steps.js";
import { plain } from "./words.js";

const LOOK_MS = 500;
const LOOKS_MAX = 600;

// A verb on a resource or a group; its plan comes first, and without a plan there is no button to press.
export function openAction(verb, target, path) {
  const dialog = makeDialog(`${verb} ${target}`, (told) => carryOut(dialog, path, {}, told));
  foresee(verb, target).then(
    (plan) => {
      dialog.about.replaceChildren(make("p", "lead", "This is what would happen, in this order:"), showPlan(plan));
      dialog.go.disabled = plan.refused !== "";
      dialog.focus();
    },
    (error) => dialog.about.replaceChildren(make("p", "refused", error.message)),
  );
  return dialog;
}

// Maintenance has no steps: nothing is done until it ends.
export function openMaintenance(group, on) {
  const hours = make("input");
  hours.type = "number";
  hours.min = "0";
  hours.step = "any";
  hours.placeholder = "until it is ended";
  const dialog = makeDialog(`${on ? "begin" : "end"} the maintenance of ${group}`, (told) => {
    const expires = on && Number(hours.value) > 0 ? { expires_s: Number(hours.value) * 3600 } : {};
    carryOut(dialog, `/api/v1/groups/${encodeURIComponent(group)}/maintenance`, { on, ...expires }, told);
  });
  const words = on
    ? "Nothing of the group is started, stopped or restarted until the maintenance ends; it is watched all the same."
    : "From now on the group is acted on again: what should be online and is not will be started.";
  dialog.about.replaceChildren(make("p", "lead", words));
  if (on) dialog.about.append(make("label", "", "Hours ", hours));
  dialog.go.disabled = false;
  dialog.focus();
  return dialog;
}

// Any order that needs a token: `about` says what is asked for.
export function openOrder(title, about, path, body, done) {
  const dialog = makeDialog(title, (told) => carryOut(dialog, path, body, told, done));
  dialog.about.replaceChildren(...about);
  dialog.go.disabled = false;
  dialog.focus();
}

async function carryOut(dialog, path, body, told, done) {
  dialog.go.disabled = true;
  told.replaceChildren(make("p", "quiet", "asking"));
  try {
    const answer = await order(path, body);
    dialog.asked();
    if (done) told.replaceChildren(...done(answer));
    else if (answer.operation !== undefined) await follow(answer, told);
    else told.replaceChildren(make("p", "done", "✓ done"));
  } catch (error) {
    told.replaceChildren(make("p", "refused", error.message));
    if (error.status === 401 || error.code === "role_too_low") {
      setToken("");
      dialog.askToken();
    }
    dialog.go.disabled = false;
  }
}

async function follow(operation, told) {
  for (let looks = 0; operation.state === "pending" && looks < LOOKS_MAX && told.isConnected; looks += 1) {
    told.replaceChildren(make("p", "quiet", `operation ${operation.operation}: ${operation.verb} of ${operation.target} is under way`));
    await new Promise((later) => setTimeout(later, LOOK_MS));
    operation = await read(`/api/v1/operations/${operation.operation}`);
  }
  const word = { done: "✓ done", failed: "✗ failed", pending: "still under way" }[operation.state];
  const reason = operation.reason === "" ? "" : `: ${plain(operation.reason)}`;
  told.replaceChildren(make("p", operation.state === "failed" ? "refused" : "done", `operation ${operation.operation} ${word}${reason}`));
}

function makeDialog(title, act) {
  const root = make("dialog");
  const about = make("div", "about", make("p", "quiet", "working out what would follow"));
  const told = make("div", "told");
  told.setAttribute("role", "status");
  const field = make("input");
  field.type = "password";
  field.autocomplete = "off";
  field.required = true;
  const token = make("label", "token", "Token ", field, make("span", "quiet", "kept in this page's memory only"));
  token.hidden = hasToken();
  field.disabled = hasToken();
  const go = make("button", "primary", "Do it");
  go.disabled = true;
  const leave = press("Cancel", "", () => root.close());
  const form = make("form", "", make("h2", "", title), about, token, told, make("p", "buttons", leave, go));
  root.setAttribute("aria-label", title);
  root.append(form);
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    if (go.disabled) return;
    if (!token.hidden) setToken(field.value);
    act(told);
  });
  root.addEventListener("close", () => root.remove());
  document.body.append(root);
  root.showModal();

  function askToken() {
    token.hidden = false;
    field.disabled = false;
    field.value = "";
    field.focus();
  }
  function asked() {
    token.hidden = true;
    field.disabled = true;
    field.value = "";
    go.hidden = true;
    leave.textContent = "Close";
    leave.focus();
  }
  const focus = () => (token.hidden ? leave : field).focus();
  return { about, go, askToken, asked, focus };
}
