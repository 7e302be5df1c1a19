// A resource's states over time, as they were recorded; where nobody looked, nothing is claimed.

import { pathOf, read } from "./ask.js";
import { draw, link, make, makeBadge, say } from "./dom.js";
import { duration, milliseconds, moment, plain } from "./words.js";

const WIDTH = 600;
const HEIGHT = 26;
const HEIGHTS = { online: 14, failed: HEIGHT, offline: 4, unknown: 2 }; // and what is pending in between
const NARROWEST = 1.5; // a moment's failure in a month is still to be seen
const FRESH_MS = 30000;
const LISTED = 50;
// How far back at most; the drawing begins with what is first known.
const RANGES = [["hour", "1h"], ["day", "24h"], ["week", "7d"], ["30 days", "30d"]];
const DEFAULT = "24h";

export function makeTimeline(id) {
  const range = make("select");
  range.ariaLabel = "How far back";
  for (const [name, since] of RANGES) range.append(new Option(`the last ${name}`, since, since === DEFAULT, since === DEFAULT));
  const band = make("div", "timeline");
  const list = make("ol", "events");
  const notice = make("p", "quiet");
  notice.hidden = true;
  const root = make("div", "", make("p", "range", range), band, notice, list);
  let course = null;
  let asked_at = 0;
  range.addEventListener("change", () => freshen(true));

  // On an edge at once, else now and then: the history's file is read each time.
  async function freshen(now = false) {
    if (!now && Date.now() - asked_at < FRESH_MS) return;
    asked_at = Date.now();
    const since = range.value;
    try {
      const told = await read(`/api/v1/resources/${pathOf(id)}/timeline?since=${since}`);
      if (since === range.value) show(told);
    } catch (error) {
      if (course === null) say(notice, error.message);
    }
  }

  // What was before anything was recorded is no part of it.
  function show(told) {
    const [first, ...others] = told.intervals;
    course = first?.state === "unknown" && others.length > 0 ? { ...told, since: first.until, intervals: others } : told;
    const last = course.intervals.slice(-LISTED).toReversed();
    say(notice, told.more || course.intervals.length > LISTED ? `Listed are the last ${last.length}.` : "");
    band.replaceChildren(drawBand(course));
    list.replaceChildren(...last.map((interval, at) => showInterval(id, interval, at === 0)));
  }

  return { root, freshen };
}

function drawBand({ since, until, intervals }) {
  const scale = WIDTH / Math.max(1, until - since);
  const band = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": summary(intervals) });
  // what is short and bad is drawn last, so that nothing covers it
  for (const interval of intervals.toSorted((one, other) => (HEIGHTS[one.state] ?? 9) - (HEIGHTS[other.state] ?? 9))) {
    const height = HEIGHTS[interval.state] ?? 9;
    const width = Math.max(NARROWEST, (interval.until - interval.since) * scale);
    const kind = `band ${interval.state.split("-").at(-1)}`;
    const bar = draw("rect", { class: kind, x: (interval.since - since) * scale, y: HEIGHT - height, width, height });
    bar.append(draw("title", {}, `${interval.state} for ${duration(interval.until - interval.since)}, from ${moment(interval.since)}`));
    band.append(bar);
  }
  return make("div", "axis", band, make("span", "quiet", moment(since)), make("span", "quiet", "now"));
}

function summary(intervals) {
  const lasted = new Map();
  for (const { state, since, until } of intervals) lasted.set(state, (lasted.get(state) ?? 0) + until - since);
  return [...lasted].map(([state, seconds]) => `${state} for ${duration(seconds)}`).join(", ") || "nothing is known";
}

function showInterval(id, interval, current) {
  const item = make("li");
  const time = make("time", "", moment(interval.since));
  time.dateTime = new Date(interval.since * 1000).toISOString();
  const lasted_s = interval.until - interval.since;
  const lasted = lasted_s < 1 ? milliseconds(lasted_s) : duration(lasted_s);
  item.append(time, makeBadge(interval.state), make("span", "lasted", current ? "until now" : `for ${lasted}`));
  if (interval.state === "unknown") item.append(make("span", "quiet", "nobody looked"));
  if (!["", "matched"].includes(interval.reason)) item.append(make("span", "reason", plain(interval.reason)));
  if (interval.root_cause !== null && interval.root_cause !== id) item.append(make("span", "cause", "because of ", link(`#/resource/${interval.root_cause}`, interval.root_cause)));
  if (interval.trigger !== "") item.append(make("span", "trigger", `by ${interval.trigger}`));
  if (interval.evidence !== "") item.append(make("code", "evidence", interval.evidence));
  return item;
}
