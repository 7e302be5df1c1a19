// How long answers took, as charts. The library comes only when somebody opens one; what is drawn are numbers of the API.

import uPlot from "/page/uplot-1.6.32.js";
import { pathOf, read } from "./ask.js";
import { make } from "./dom.js";
import { milliseconds } from "./words.js";

const HEIGHT = 220;
const SAMPLES_MAX = 720; // an hour, at one each time the page asks
const COLOURS = ["--accent", "--doubt", "--online", "--pending", "--failed", "--quiet"];
const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [1, 5], [14, 4]]; // a line is told by its pattern as well
const SPAN_S = 60; // at least so much is on the time axis
const FRESH_MS = 30000;

document.head.append(Object.assign(make("link"), { rel: "stylesheet", href: "/page/uplot-1.6.32.css" }));

// Two charts: the minutes that are kept, and each stage since they were opened.
export function openCharts(id) {
  const hours = make("select");
  for (const [name, minutes] of [["2 hours", 120], ["8 hours", 480], ["24 hours", 1440]]) hours.append(new Option(name, minutes));
  hours.ariaLabel = "How far back";
  const kept = makeChart("No answer of these minutes is kept.");
  const stages = makeChart("No stage was measured yet.");
  const root = make("div", "charts");
  root.append(
    make("figure", "", make("figcaption", "", "Whole answers, by minute: the mean and the slowest, of the last ", hours), kept.root),
    make("figure", "", make("figcaption", "", "Each stage of the last probe, since this was opened"), stages.root),
  );
  let asked_at = 0;
  const samples = [];
  hours.addEventListener("change", () => showMinutes().catch(() => {}));

  async function showMinutes() {
    asked_at = Date.now();
    const { buckets } = await read(`/api/v1/resources/${pathOf(id)}/history?minutes=${hours.value}`);
    const first = buckets.findIndex((bucket) => bucket.max_s !== null);
    const known = first < 0 ? [] : buckets.slice(first);
    kept.show(["mean", "slowest"], ["time", "mean_s", "max_s"].map((name) => known.map((bucket) => bucket[name])));
  }

  // `asked_at` of the probe tells one reading from the same one seen again.
  function sample(times, probed_at) {
    if (times.length === 0 || (samples.length > 0 && probed_at - samples.at(-1).at < 0.5)) return;
    samples.push({ at: probed_at, seconds: new Map(times.map(({ stage, seconds }) => [stage, seconds])) });
    if (samples.length > SAMPLES_MAX) samples.shift();
    const names = [...new Set(samples.flatMap(({ seconds }) => [...seconds.keys()]))].slice(0, COLOURS.length);
    stages.show(names, [samples.map(({ at }) => at), ...names.map((name) => samples.map(({ seconds }) => seconds.get(name) ?? null))]);
  }

  function tick() {
    if (Date.now() - asked_at > FRESH_MS) showMinutes().catch(() => {});
  }

  tick();
  return { root, sample, tick, close: () => [kept, stages].forEach((chart) => chart.close()) };
}

function makeChart(nothing) {
  const root = make("div", "chart", make("p", "quiet", nothing));
  root.role = "img";
  root.ariaLabel = nothing;
  let plot = null;
  let shown = { names: [], columns: [[]] };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const sizes = new ResizeObserver(() => plot?.setSize({ width: widthOf(root), height: HEIGHT }));
  sizes.observe(root);
  dark.addEventListener("change", again);

  function show(names, columns) {
    const same = plot !== null && names.join() === shown.names.join();
    shown = { names, columns };
    if (same) plot.setData(columns);
    else again();
    if (plot !== null) root.ariaLabel = names.map((name, at) => `${name}: ${summary(columns[at + 1])}`).join("; ");
  }

  function again() {
    plot?.destroy();
    plot = null;
    if (shown.columns[0].length === 0) return root.replaceChildren(make("p", "quiet", nothing));
    root.replaceChildren();
    plot = new uPlot(optionsOf(shown.names, widthOf(root)), shown.columns, root);
  }

  function close() {
    sizes.disconnect();
    dark.removeEventListener("change", again);
    plot?.destroy();
    plot = null;
  }

  return { root, show, close };
}

const widthOf = (root) => Math.max(200, root.clientWidth);

function summary(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? "nothing" : `${milliseconds(Math.min(...known))} to ${milliseconds(Math.max(...known))}`;
}

function optionsOf(names, width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  return {
    width,
    height: HEIGHT,
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { range: (_, first, last) => [Math.min(first, last - SPAN_S), last] }, y: { range: (_, least, most) => [0, Math.max(most, 0.001) * 1.1] } },
    axes: [axis, { ...axis, size: 70, values: (_, splits) => splits.map(milliseconds) }],
    series: [
      { label: "at", value: (_, at) => (at === null ? "" : new Date(at * 1000).toLocaleTimeString()) },
      ...names.map((label, at) => ({
        label,
        stroke: colour(COLOURS[at]),
        dash: DASHES[at],
        width: 2,
        points: { size: 5 },
        value: (_, seconds) => (seconds === null ? "–" : milliseconds(seconds)),
      })),
    ],
  };
}
