// The drawings of one resource, and its dialogues.

import { draw, make } from "./dom.js";
import { clock, duration, milliseconds, moment, plain } from "./words.js";

const WIDTH = 600;
const HEIGHT = 26;
const WINDOW_S = 60; // at least so much is shown
const HEIGHTS = { online: 14, failed: HEIGHT, offline: 4 }; // and what is pending in between

// The states as a band, from the first event that is known until now.
export function drawTimeline(events, told, now) {
  const edges = events.filter((event) => event.kind === "state");
  const begin = Math.min(now - WINDOW_S, edges[0]?.time ?? told.since);
  const scale = WIDTH / Math.max(1, now - begin);
  const spans = edges.map((event, at) => [event.to, event.time, edges[at + 1]?.time ?? now]);
  if (edges.length === 0) spans.push([told.state, Math.max(begin, told.since), now]);
  const band = draw("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": `${told.state} since ${moment(told.since)}`,
  });
  for (const [state, from, to] of spans) {
    const height = HEIGHTS[state] ?? 9;
    const width = Math.max(1.5, (to - from) * scale);
    const bar = draw("rect", { class: `band ${state.split("-").at(-1)}`, x: (from - begin) * scale, y: HEIGHT - height, width, height });
    bar.append(draw("title", {}, `${state} for ${duration(to - from)}, from ${moment(from)}`));
    band.append(bar);
  }
  return make("div", "axis", band, make("span", "quiet", moment(begin)), make("span", "quiet", "now"));
}

export function drawStages(stages) {
  if (stages.length === 0) return make("p", "quiet", "Nothing is asked of it over a network, or not yet.");
  const longest = Math.max(...stages.map(({ seconds }) => seconds), 1e-6);
  const all = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const rows = [...stages, { stage: "in all", seconds: all }].map(({ stage, seconds }) => {
    const bar = draw("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
    if (stage !== "in all") bar.append(draw("rect", { class: "stage", width: Math.max(0.5, (seconds / longest) * 100), height: 8 }));
    return make("li", "", make("span", "", stage), bar, make("span", "number", milliseconds(seconds)));
  });
  return make("ul", "bars", ...rows);
}

const ARROWS = { sent: "→", received: "←" };

export function showTranscripts(transcripts) {
  if (transcripts.length === 0) return [make("p", "quiet", "No dialogue of it went wrong since looksalive began to ask, so none was kept.")];
  return transcripts.map((one, at) => {
    const times = one.times > 1 ? `, ${one.times} times in a row` : "";
    const head = `${moment(one.time)}: ${plain(one.reason)}${one.stage ? ` at ${one.stage}` : ""}, ${one.binding}${times}`;
    const lines = one.transcript.map((piece) => {
      const cut = piece.cut_bytes > 0 ? ` … and ${piece.cut_bytes} bytes more` : "";
      const line = make("li", "", make("span", "at", milliseconds(piece.at_s)), make("span", "arrow", ARROWS[piece.direction] ?? "·"), make("code", "", piece.text + cut));
      line.dataset.direction = piece.direction;
      return line;
    });
    const stages = Object.entries(one.stages).map(([stage, seconds]) => `${stage.replace(/_s$/, "")} ${milliseconds(seconds)}`);
    const dialogue = make("details", "", make("summary", "", head), make("ol", "dialogue", ...lines), make("p", "quiet", [`asked at ${clock(one.time)}`, one.address, ...stages].join(", ")));
    dialogue.open = at === 0;
    return dialogue;
  });
}
