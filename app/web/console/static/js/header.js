// The top of each page: where one is, where one may go, and whether the service is well.

import { chip, make, one, pause, say } from "./dom.js";
import { api } from "./access.js";
import { me } from "./me.js";

const SECONDS = 20;
const tones = { ready: "good", starting: "warn", draining: "warn" };
// What a check that is down means to somebody who uses the service.
const meanings = {
  agent: "The agent is not at work: images are not pulled, nobody notices that a container ended, and nothing expires. Tell whoever runs this VibeBox.",
  docker: "Docker Engine does not answer: environments cannot be started or stopped. Tell whoever runs this VibeBox.",
  database: "The database cannot be used: nothing can be changed at present. Tell whoever runs this VibeBox.",
};

/** Return what the service says of its readiness. */
export async function readiness() {
  try {
    const response = await fetch("/health/ready", { headers: { Accept: "application/json" } });
    return await response.json();
  } catch {
    return { status: "does not answer", checks: {} };
  }
}

/** Return what operators are told while no alert arrives; others can do nothing about it. */
async function silence() {
  const account = await me().catch(() => null);
  if (!account?.is_operator) return "";
  const found = await api("GET", "/alerts/heartbeat").catch(() => null);
  if (found?.state !== "missing") return "";
  const minutes = Math.max(1, Math.round(found.age_seconds / 60));
  const since = found.beat_at ? `No heartbeat of alerting for ${minutes} min` : "No heartbeat of alerting has ever come";
  const cut = found.cut ? ` The chain is cut at ${found.cut.link}: ${found.cut.says} ${found.cut.next_step}` : "";
  return `${since}: what fires is told to nobody.${cut}`;
}

function show(found, silent) {
  const down = Object.entries(found.checks ?? {}).filter(([, check]) => check.status !== "up").map(([name]) => name);
  const well = found.status === "ready";
  const [text, tone] = !well ? [found.status, tones[found.status] ?? "bad"] : down.length ? ["up in part", "warn"] : ["up", "good"];
  const place = one("[data-service]");
  if (place.dataset.shown !== text) {
    place.dataset.shown = text;
    const shown = chip("Service ", tone);
    shown.append(make("span", { class: well && !down.length ? "roomy" : "" }, text));
    place.replaceChildren(shown);
  }
  // Without the database nobody knows of agents.
  const known = down.includes("database") ? down.filter((name) => name !== "agent") : down;
  const told = known.map((name) => meanings[name]).filter(Boolean);
  if (silent) told.push(silent);
  if (found.status === "does not answer") told.push("VibeBox does not answer. The page shows again what is new as soon as it does.");
  const trouble = one("#trouble");
  say(trouble, told.join(" "));
  trouble.hidden = !told.length;
}

/** Keep the service's state shown, for as long as the document lives. */
export async function watchService() {
  for (;;) {
    if (!document.hidden && !one(".self").hidden) await lookAtService();
    await pause(SECONDS);
  }
}

/** Show a page's place among the others; `signedIn` tells whether there is anybody to show them to. */
export async function showHeader(view, signedIn, attempt) {
  for (const each of document.querySelectorAll("[data-signed-in]")) each.hidden = !signedIn;
  for (const link of document.querySelectorAll("[data-place]")) {
    const here = link.dataset.place === view || (view === "environment" && link.dataset.place === "environments")
      || (view === "team" && link.dataset.place === "teams");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!signedIn) {
    one("#trouble").hidden = true;
    return;
  }
  lookAtService();
  const account = await attempt(me, () => {});
  for (const each of document.querySelectorAll("[data-operator]")) each.hidden = !account?.is_operator;
}

/** Read the state now, as after something that hangs on it. */
export async function lookAtService() {
  const found = await readiness();
  // Without the database nobody knows of heartbeats either.
  show(found, found.checks?.database?.status === "up" ? await silence() : "");
}

export const fact = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
