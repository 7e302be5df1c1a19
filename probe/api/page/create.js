// Making something: the questions are the server's own tables of types and controllers. Nothing is made before it was
// shown as what will be asked for; what may not be made over the network is refused with the command line that can.

import { openOrder } from "./action.js";
import { pathOf, read } from "./ask.js";
import { link, make, say } from "./dom.js";

const GROUP = "system-attendant";
const OPTIONAL = ["information-store", "mta", "routing", "search", "smtp", "pop3", "imap", "http"];
const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]{0,62}";

export function openCreate(root) {
  const type = make("select");
  const group = text(NAME, "evs1");
  const name = text(NAME, "smtp");
  const controller = make("select");
  const more = make("div", "questions");
  const run = make("div", "questions");
  const refused = make("p", "refused");
  refused.hidden = true;
  const named = ask("Name", name, "of the resource");
  const form = make("form", "wizard", ask("What", type, ""), ask("Group", group, "a new one, or one that there is"), named, more, ask("Controller", controller, "who starts and stops it"), run, refused, make("p", "buttons", make("button", "primary", "Show what will be asked for")));
  root.append(make("h2", "", "Create"), make("p", "lead", "A resource, or a system-attendant with its whole group. It needs a token with the role admin."), form);
  let kinds = new Map();
  let controllers = new Map();
  let questions = () => ({});
  let running = () => undefined;
  type.addEventListener("change", showType);
  controller.addEventListener("change", showController);
  form.addEventListener("submit", (submitted) => {
    submitted.preventDefault();
    propose();
  });

  async function load() {
    if (kinds.size > 0) return;
    const catalogue = await read("/api/v1/types");
    kinds = new Map(catalogue.types.map((kind) => [kind.name, kind]));
    controllers = new Map(catalogue.controllers.map((kind) => [kind.name, kind]));
    type.replaceChildren(...[...kinds.keys()].map((each) => new Option(each === GROUP ? `${each}, with its whole group` : each, each)));
    type.value = kinds.has("smtp") ? "smtp" : type.value;
    controller.replaceChildren(...[...controllers.values()].map((each) => new Option(each.local ? `${each.name} (only on the store itself)` : each.name, each.name)));
    controller.value = "none";
    showType();
    showController();
  }

  function showType() {
    const kind = kinds.get(type.value);
    const whole = kind.name === GROUP;
    named.hidden = whole;
    name.disabled = whole;
    name.placeholder = kind.name;
    questions = whole ? askMembers(more) : askKind(more, kind);
  }

  function showController() {
    const kind = controllers.get(controller.value);
    const answers = askParameters(kind?.parameters ?? []);
    run.replaceChildren(...answers.fields);
    running = () => (controller.value === "none" ? undefined : { kind: controller.value, ...answers.values() });
  }

  function propose() {
    say(refused, "");
    const whole = type.value === GROUP;
    const target = whole ? group.value : `${group.value}/${name.value}`;
    const made = { ...questions() };
    const service = running();
    if (service !== undefined && !whole) made.controller = service;
    if (service !== undefined && whole) made.members = { ...made.members, [GROUP]: { controller: service } };
    const path = whole ? `/api/v1/groups/${pathOf(target)}` : `/api/v1/resources/${pathOf(target)}`;
    const body = whole ? made : { type: type.value, ...made };
    const about = [make("p", "lead", `This will be asked for at ${path}:`), make("pre", "", JSON.stringify(body, null, 2))];
    openOrder(`create ${target}`, about, path, body, told);
  }

  return { title: () => "Create", load };
}

function told({ changed, resources, notes }) {
  const made = resources.flatMap((id) => [link(`#/resource/${id}`, id), " "]);
  return [make("p", "done", changed ? "✓ made: " : "it was there already: ", ...made), ...notes.map((note) => make("p", "quiet", note))];
}

// The questions of a type; the answer is the body's part.
function askKind(parent, kind) {
  const answers = askParameters(kind.parameters.filter((parameter) => parameter.name !== "virtual_server"));
  if (kind.protocol === null) {
    parent.replaceChildren(...answers.fields);
    return () => ({ parameters: answers.values() });
  }
  const bindings = text("", kind.binding || "127.0.0.1:2525");
  const secure = text("", "");
  bindings.value = kind.binding;
  parent.replaceChildren(ask("Bindings", bindings, "where it listens: ADDRESS:PORT, several with spaces"), ask("Secure bindings", secure, "the same, with TLS from the start"), ...answers.fields);
  return () => ({ parameters: answers.values(), server: { ...listed("bindings", bindings), ...listed("secure_bindings", secure) } });
}

function askMembers(parent) {
  const boxes = OPTIONAL.map((member) => {
    const box = make("input");
    box.type = "checkbox";
    box.checked = member !== "search";
    box.value = member;
    return box;
  });
  parent.replaceChildren(make("fieldset", "", make("legend", "", "With"), ...boxes.map((box) => make("label", "check", box, ` ${box.value}`))));
  return () => ({ without: boxes.filter((box) => !box.checked).map((box) => box.value) });
}

function askParameters(parameters) {
  const asked = parameters.map((parameter) => {
    const field = text("", parameter.default || parameter.value.replaceAll("`", ""));
    field.required = parameter.required;
    return [parameter.name, field, ask(parameter.name, field, parameter.about.replaceAll("`", ""))];
  });
  const values = () => Object.fromEntries(asked.filter(([, field]) => field.value.trim() !== "").map(([name, field]) => [name, valueOf(field.value.trim())]));
  return { fields: asked.map(([, , label]) => label), values };
}

// JSON where it is some, else the text as it stands.
function valueOf(typed) {
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}

function listed(key, field) {
  const words = field.value.split(/[\s,]+/).filter(Boolean);
  return words.length > 0 ? { [key]: words } : {};
}

function text(pattern, placeholder) {
  const field = make("input");
  field.autocomplete = "off";
  field.spellcheck = false;
  field.placeholder = placeholder;
  if (pattern) {
    field.pattern = pattern;
    field.required = true;
  }
  return field;
}

function ask(name, field, about) {
  return make("label", "question", make("span", "asked", name), field, make("span", "quiet", about));
}
