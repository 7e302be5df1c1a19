// A group's dependencies: the server says where each box is, the states are those of the status.

import { read } from "./ask.js";
import { draw, make } from "./dom.js";
import { groupOf, nameOf } from "./words.js";

const LABEL_CHARS = 14;
const SHAPES = {
  online: (x, y) => draw("circle", { cx: x, cy: y, r: 5 }),
  offline: (x, y) => draw("rect", { x: x - 4.5, y: y - 4.5, width: 9, height: 9, class: "hollow" }),
  failed: (x, y) => draw("path", { d: `M${x} ${y - 6}L${x + 6.5} ${y + 5}H${x - 6.5}Z` }),
  pending: (x, y) => draw("path", { d: `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z` }),
};

export function makeGraph(group) {
  const root = make("div", "graph");
  root.hidden = true;
  let drawn = ""; // the shape of the group as last asked for
  let boxes = new Map();
  let lines = [];
  let told = new Map();

  // Draw anew where the shape of the group changed, else only the states.
  function show(resources, size) {
    told = new Map(resources.map((each) => [each.id, each]));
    const shape = resources.map((each) => `${each.id}<${each.depends_on}`).join(";");
    const linked = resources.some((each) => each.depends_on.length > 0);
    root.hidden = !linked || resources.length < size || boxes.size === 0;
    if (linked && resources.length === size && shape !== drawn) {
      drawn = shape;
      ask().catch(() => (drawn = ""));
    }
    paint();
  }

  async function ask() {
    const graph = await read(`/api/v1/groups/${encodeURIComponent(group)}/graph`);
    boxes = new Map();
    lines = [];
    if (graph.refused === "") root.replaceChildren(picture(graph));
    root.hidden = graph.boxes.length === 0;
    paint();
  }

  function picture(graph) {
    const { width, height, box_width, box_height, text } = graph;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": `What stands on what in ${group}. ${text}` });
    for (const line of graph.lines) {
      const path = draw("path", { class: "line", d: line.path });
      lines.push({ path, line });
      svg.append(path);
    }
    for (const { id, x, y } of graph.boxes) {
      const name = groupOf(id) === group ? nameOf(id) : id;
      const short = name.length > LABEL_CHARS ? `${name.slice(0, LABEL_CHARS - 1)}…` : name;
      const mark = draw("g", { class: "mark" });
      const word = draw("text", { class: "word", x: x + 26, y: y + 33 });
      const title = draw("title", {});
      const box = draw("a", { class: "box", href: `#/resource/${id}` }, title);
      box.append(draw("rect", { x, y, width: box_width, height: box_height, rx: 7 }), mark);
      box.append(draw("text", { class: "label", x: x + 26, y: y + 18 }, short), word);
      svg.append(box);
      boxes.set(id, { box, mark, word, title, x: x + 14, y: y + 14 });
    }
    return svg;
  }

  function paint() {
    for (const [id, parts] of boxes) {
      const state = told.get(id)?.state ?? "";
      if (parts.box.dataset.state === state) continue;
      parts.box.dataset.state = state;
      const shape = SHAPES[state.endsWith("pending") ? "pending" : state];
      parts.mark.replaceChildren(...(shape ? [shape(parts.x, parts.y)] : []));
      parts.word.textContent = state || "another group";
      parts.title.textContent = `${id}: ${state || "of another group"}`;
    }
    for (const { path, line } of lines) {
      path.classList.toggle("down", (told.get(line.from)?.state ?? "online") !== "online");
    }
  }

  return { root, show };
}
