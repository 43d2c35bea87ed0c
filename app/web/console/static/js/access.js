// Who is signed in. The access token lives in this module's memory and nowhere else. It is renewed by
// two halves together: a cookie that scripts cannot read, sent to /console only, but to every port of
// this host; and a secret in this origin's own storage, which no other port's pages can read.

import { pause } from "./dom.js";
import { newTrace, traceHeaders } from "./trace.js";
import { alone } from "./turns.js";

let token = "";
let expiresAt = 0;
let renewing = null;

const SECRET = "vibebox-page-secret";
let kept = null; // where the browser lends no storage: a reload asks to sign in again

function pageSecret() {
  try {
    return localStorage.getItem(SECRET);
  } catch {
    return kept;
  }
}

function keepSecret(secret) {
  kept = secret;
  try {
    if (secret === null) localStorage.removeItem(SECRET);
    else localStorage.setItem(SECRET, secret);
  } catch {
    // The user forbids it.
  }
}

export class Problem extends Error {
  constructor(status, body, retryAfter = 0) {
    const fields = (body?.errors ?? []).map((one) => `${one.field}: ${one.message}`).join("; ");
    const told = fields || body?.detail || body?.title || `The service answered ${status}.`;
    // What is our fault is looked up by this.
    super(status >= 500 && body?.request_id ? `${told} (request ${body.request_id})` : told);
    this.status = status;
    this.errors = body?.errors ?? [];
    this.slug = (body?.type ?? "").split(":").at(-1);
    this.retryAfter = retryAfter;
  }
}

export class SignedOut extends Error {}

const json = { "Content-Type": "application/json" };

async function answer(response) {
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, body, Number(response.headers.get("Retry-After")));
  return body;
}

// A network that changes breaks off what is under way; only what reads may be sent twice.
const READS = 3;

async function send(path, options, trace) {
  const reads = options.method === "GET";
  for (let tries = reads ? 1 : READS; ; tries += 1) {
    const headers = { ...options.headers, ...traceHeaders(trace ?? newTrace(!reads)) };
    try {
      return await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (tries === READS) throw new Problem(0, { detail: "The service does not answer." });
      await pause(tries);
    }
  }
}

// Who asks for much at once, or while others do, is put off for a moment, and nothing was done.
const TRIES = 4;
const putOff = ["too-many-requests", "server-busy"];

async function patiently(work) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!putOff.includes(error.slug) || tries === TRIES) throw error;
      await pause(Math.min(5, error.retryAfter || 1));
    }
  }
}

const post = (path, body, options) =>
  patiently(async () => answer(await send(path, { method: "POST", headers: json, body, ...options })));

function keep(pair) {
  if (pair.page_secret) keepSecret(pair.page_secret);
  token = pair.access_token;
  expiresAt = Date.now() + Math.max(1, pair.expires_in - 30) * 1000;
}

export async function signIn(email, password) {
  const body = JSON.stringify({ email, password });
  // Not while another tab trades the cookie that this one replaces.
  await alone(async () => keep(await post("/console/sign-in", body)));
}

/** Make an account; `invitation` is null where none is needed. */
export async function register(email, password, invitation) {
  await post("/api/v1/auth/register", JSON.stringify({ email, password, invitation }));
}

export async function signOut() {
  try {
    await call("POST", "/console/sign-out");
  } catch (error) {
    if (!(error instanceof SignedOut)) throw error;
  }
  keepSecret(null);
  token = "";
  expiresAt = 0;
}

/** A refresh token works once: of two tabs, or of two reloads, the second waits for the first. */
function renew() {
  const exchange = async () => {
    const body = JSON.stringify({ page_secret: pageSecret() });
    // keepalive: a page that is left must not take the next cookie with it.
    const pair = await post("/console/token", body, { keepalive: true });
    // Kept before the next tab has its turn.
    keep(pair);
  };
  renewing ??= alone(exchange)
    .catch((error) => {
      throw error.status === 401 ? new SignedOut() : error;
    })
    .finally(() => {
      renewing = null;
    });
  return renewing;
}

export async function ready() {
  if (Date.now() >= expiresAt) await renew();
}

/** Call the API; a file is sent as it is. Throws Problem, SignedOut. */
export const call = (method, path, body, trace) => patiently(() => callOnce(method, path, body, trace));

async function callOnce(method, path, body, trace, again = true) {
  await ready();
  const plain = body === undefined || body instanceof Blob;
  const headers = { Authorization: `Bearer ${token}`, ...(plain ? {} : json) };
  const options = { method, headers, body: plain ? body : JSON.stringify(body) };
  const response = await send(path, options, trace);
  if (response.status === 401) {
    expiresAt = 0;
    if (!again) throw new SignedOut();
    return callOnce(method, path, body, trace, false);
  }
  return answer(response);
}

export const api = (method, path, body, trace) => call(method, `/api/v1${path}`, body, trace);

/** Open a WebSocket of the API, with a ticket of its own: no token ever stands in an address. */
export async function openSocket(path) {
  const trace = newTrace(path.includes("/terminal"));
  const { ticket } = await api("POST", "/ws-tickets", undefined, trace);
  const address = new URL(`/api/v1${path}`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address, ["vibebox.v1", `vibebox.ticket.${ticket}`, `vibebox.traceparent.${trace.parent}`]);
  socket.binaryType = "arraybuffer";
  return socket;
}
