// Asking the API, like anybody else. The token is kept here and nowhere else: it is gone when the page is.

const ANSWER_MS = 10000;

let token = "";
let skew_ms = 0; // the server's clock minus ours

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const setToken = (text) => {
  token = text.trim();
};
export const hasToken = () => token !== "";
export const now_s = () => (Date.now() + skew_ms) / 1000;

export const pathOf = (id) => id.split("/").map(encodeURIComponent).join("/");

async function ask(path, options) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS), ...options }).catch(() => {
    throw new Refused(0, "no_answer", "There was no answer; is looksalive running, and reachable from here?");
  });
  const date = Date.parse(answer.headers.get("Date"));
  // the header is cut to the second: our clock is off only when the difference is more than that
  if (!Number.isNaN(date)) skew_ms = Math.abs(date - Date.now()) > 1500 ? date - Date.now() : 0;
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const { code = "error", message = `status ${answer.status}` } = body.error ?? {};
  throw new Refused(answer.status, code, message);
}

export const read = (path) => ask(path, {});

const send = (method, path, body, headers) =>
  ask(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } });

// What an event would lead to: open as reading is.
export const foresee = (event, target) => send("POST", "/api/v1/plan", { event, target }, {});

export const order = (path, body) => send("POST", path, body, token ? { Authorization: `Bearer ${token}` } : {});

// Every recorded event behind `after`, oldest first; the server keeps a bounded number. `anew`: it began a new count.
export async function readEvents(after = 0) {
  const events = [];
  for (;;) {
    const page = await read(`/api/v1/events?limit=1000&after=${after}`);
    if (page.next === 0 && after > 0) return { ...(await readEvents(0)), anew: true };
    events.push(...page.events);
    if (page.events.length < 1000) return { events, anew: false };
    after = page.next;
  }
}
