// The heartbeat strip: one bar a minute. Good minutes are of middle height, failures tall, doubts low, silence a dot.

import { pathOf, read } from "./ask.js";
import { draw, make } from "./dom.js";
import { clock, count, milliseconds } from "./words.js";

const MINUTES = 60;
const FRESH_MS = 30000;
const BAR = 4;
const HEIGHT = 22;
const AT_ONCE = 60; // strips of one question: with the longest names, 127 characters each, an address still holds them
const GATHER_MS = 20; // strips come into sight in flocks
const KINDS = {
  failed: { height: HEIGHT, word: "failures" },
  good: { height: 13, word: "all good" },
  doubt: { height: 7, word: "could not tell" },
  silent: { height: 2, word: "nothing known" },
};

const waiting = new Set();
let asking = false;

// A strip that fills itself while it is to be seen; a page of hundreds asks only for what is on the screen.
export function makeStrip(id, minutes = MINUTES) {
  const root = make("div", "strip");
  const strip = { id, root, minutes, asked_at: 0, seen: false, dirty: true };
  const watch = new IntersectionObserver((entries) => {
    strip.seen = entries.at(-1).isIntersecting;
    freshen(strip);
  });
  watch.observe(root);
  return { root, touch: (now) => freshen(strip, now), close: () => watch.disconnect() };
}

function freshen(strip, now = false) {
  if (!strip.seen || document.hidden) return;
  if (!now && Date.now() - strip.asked_at < FRESH_MS) return;
  strip.asked_at = Date.now();
  waiting.add(strip);
  if (!asking) ask();
}

// All strips that wait, in as few questions as may be, one after the other.
async function ask() {
  asking = true;
  await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
  while (waiting.size > 0) {
    const [{ minutes }] = waiting;
    const strips = [...waiting].filter((strip) => strip.minutes === minutes).slice(0, AT_ONCE);
    for (const strip of strips) waiting.delete(strip);
    try {
      await fill(strips, minutes);
    } catch {
      // what is there is still the last that was known
    }
  }
  asking = false;
}

async function fill(strips, minutes) {
  const ids = strips.map((strip) => pathOf(strip.id)).join(",");
  const told = await read(`/api/v1/strips?minutes=${minutes}&ids=${ids}`);
  const found = new Map(told.strips.map((columns) => [columns.id, columns]));
  for (const strip of strips) {
    if (found.has(strip.id)) show(strip, bucketsOf(found.get(strip.id), told));
  }
}

function bucketsOf({ ok, failed, unknown, max_s }, { since, bucket_s }) {
  return ok.map((good, at) => ({ time: since + at * bucket_s, ok: good, failed: failed[at], unknown: unknown[at], max_s: max_s[at] }));
}

function show(strip, buckets) {
  const known = buckets.some((bucket) => kindOf(bucket) !== "silent");
  strip.root.classList.toggle("empty", !known);
  if (buckets.length > 0) strip.root.replaceChildren(drawStrip(buckets));
  else strip.root.replaceChildren(...(strip.minutes === MINUTES ? [] : [make("span", "quiet", "no history is kept")]));
}

export function kindOf({ ok, failed, unknown }) {
  if (failed > 0) return "failed";
  if (unknown > 0) return "doubt";
  return ok > 0 ? "good" : "silent";
}

function drawStrip(buckets) {
  const picture = draw("svg", {
    viewBox: `0 0 ${buckets.length * BAR} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": summary(buckets),
  });
  buckets.forEach((bucket, at) => {
    const kind = kindOf(bucket);
    const { height } = KINDS[kind];
    const bar = draw("rect", { class: kind, x: at * BAR, y: HEIGHT - height, width: BAR - 1, height });
    bar.append(draw("title", {}, tell(bucket, kind)));
    picture.append(bar);
  });
  return picture;
}

function tell(bucket, kind) {
  const slow = bucket.max_s === null ? "" : `, at most ${milliseconds(bucket.max_s)}`;
  const counts = kind === "silent" ? "" : `: ${bucket.ok} good, ${bucket.failed} failed, ${bucket.unknown} unknown`;
  return `${clock(bucket.time)} ${KINDS[kind].word}${counts}${slow}`;
}

function summary(buckets) {
  const kinds = buckets.map(kindOf);
  const bad = kinds.filter((kind) => kind === "failed").length;
  const known = kinds.filter((kind) => kind !== "silent").length;
  if (known === 0) return `the last ${buckets.length} minutes: nothing known yet`;
  const when = bad > 0 ? `, the last at ${clock(buckets[kinds.lastIndexOf("failed")].time)}` : "";
  return `the last ${count(known, "known minute")}: ${bad === 0 ? "no failures" : `failures in ${bad}`}${when}`;
}
