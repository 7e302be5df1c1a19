// The sentences. Everything here takes what the API told and returns text.

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86400)} d`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString();
}

// With the day where it is not today.
export function moment(seconds) {
  const then = new Date(seconds * 1000);
  const today = then.toDateString() === new Date().toDateString();
  return today ? then.toLocaleTimeString() : then.toLocaleString();
}

export function milliseconds(seconds) {
  const ms = seconds * 1000;
  return ms < 1 ? `${ms.toFixed(2)} ms` : ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

export const groupOf = (id) => id.slice(0, id.indexOf("/"));
export const nameOf = (id) => id.slice(id.indexOf("/") + 1);
export const plain = (word) => word.replaceAll("_", " ");

export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

export function list(words, most = 6) {
  const shown = words.length > most + 1 ? [...words.slice(0, most), `${words.length - most} others`] : words;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

// A word of doubt where the level and the last answer differ, or where the answer is none.
export function doubtOf(told) {
  if (told.stale) return "stale";
  if (told.verdict === "unknown" && told.reason !== "not_yet") return "cannot tell";
  if (told.state === "online" && !told.alive) return "not alive";
  return "";
}

export function reasonOf(told) {
  if (told.progress !== "") return told.progress;
  if (told.waiting_for.length > 0) return `waiting for ${list(told.waiting_for.map(nameOf))}`;
  if (told.state === "offline" && told.desired === "offline") return "taken offline";
  if (told.state === "online" && told.age_s === null) return unasked(told);
  return plain(told.reason);
}

// Without a reading: no check yet, or a type whose health is its controller's word.
export function unasked({ state, pid }) {
  if (state !== "online") return "not checked yet";
  return pid === null ? "no check of its own" : `process ${pid} runs`;
}

export function restartsOf(told) {
  if (told.restarts === 0) return "";
  return `restarted ${told.restarts}×${told.state === "online" ? "" : `, ${told.restarts_left} left`}`;
}

// [{ cause, text before the cause, text behind it }]: one for each root cause among the resources.
export function causes(resources) {
  const blamed = new Map();
  const byId = new Map(resources.map((told) => [told.id, told]));
  for (const told of resources) {
    const cause = told.state === "online" ? null : told.root_cause ?? awaited(told, byId);
    if (cause === null || cause === told.id) continue;
    if (!blamed.has(cause)) blamed.set(cause, []);
    blamed.get(cause).push(nameOf(told.id));
  }
  for (const told of resources) if (told.state === "failed" && !isCaused(told) && !blamed.has(told.id)) blamed.set(told.id, []);
  return [...blamed].map(([cause, names]) => {
    const told = byId.get(cause);
    const because = told === undefined ? "" : ` (${causeReason(told)})`;
    if (names.length === 0) return { cause, before: "", behind: ` is down${because}.` };
    return { cause, before: `${list(names)} ${names.length === 1 ? "is" : "are"} down because `, behind: ` is${because}.` };
  });
}

// Who waits for what has failed is down because of it, though nothing was ever asked of it.
function awaited(told, byId) {
  const provider = told.desired === "online" && told.waiting_for.map((id) => byId.get(id)).find((one) => one?.state === "failed");
  return provider ? provider.root_cause ?? provider.id : null;
}

const isCaused = (told) => told.root_cause !== null && told.root_cause !== told.id;

function causeReason(told) {
  const restarts = told.restarts_left === 0 && told.restarts > 0 ? ", restarts used up" : "";
  const waiting = told.state === "online-pending" ? ", coming back" : "";
  return plain(told.reason) + waiting + restarts;
}

// Why a resource is not online, as a chain of sentences down to what is really to blame.
export function whyNot(told) {
  const name = nameOf(told.id);
  if (told.state === "online") return told.alive ? `${name} is online.` : `${name} is online, but its last check was not good.`;
  if (told.desired === "offline") return `${name} is ${told.state}: somebody took it offline.`;
  if (told.waiting_for.length > 0) return `${name} is ${told.state}: it waits for ${list(told.waiting_for.map(nameOf))}.`;
  if (isCaused(told)) return `${name} is ${told.state}, because ${told.root_cause} is down.`;
  const evidence = told.evidence === "" ? "" : ` (${told.evidence})`;
  const left = told.state !== "failed" || told.restarts_left > 0 ? "" : "; its restarts are used up";
  return `${name} is ${told.state}: ${plain(told.reason)}${evidence}${left}.`;
}
