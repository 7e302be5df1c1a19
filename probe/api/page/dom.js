// Elements, made in one way only: text is written as text, so that a banner stays data.

const SVG = "http://www.w3.org/2000/svg";

export const place = (id) => document.getElementById(id);

export function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

// A drawing's element; the attributes are numbers, paths and names of ours.
export function draw(tag, attributes, ...content) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...content);
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

export function link(href, ...content) {
  const element = make("a", "", ...content);
  element.href = href;
  return element;
}

export function press(text, className, act) {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

// A state as colour, shape and word.
export function makeBadge(state) {
  const badge = make("span", "badge", make("span", "shape"), make("span", "word"));
  if (state !== undefined) setBadge(badge, state);
  return badge;
}

export function setBadge(badge, state) {
  badge.dataset.state = state;
  say(badge.lastChild, state);
}

// Put the child at the position, touching the document only when it is not there already.
export function seat(parent, child, position) {
  if (parent.children[position] !== child) parent.insertBefore(child, parent.children[position] ?? null);
}

// Remove what is no longer wanted; the map holds objects whose `root` is in the document.
export function keep(map, wanted) {
  for (const [key, parts] of map) {
    if (wanted.has(key)) continue;
    parts.root.remove();
    parts.close?.();
    map.delete(key);
  }
}
