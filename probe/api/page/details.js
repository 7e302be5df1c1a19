// How long each stage of the last probe took, and the dialogues that went wrong.

import { draw, make } from "./dom.js";
import { clock, milliseconds, moment, plain } from "./words.js";

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
