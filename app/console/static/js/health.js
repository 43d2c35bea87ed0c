// The health strip: readiness from the service itself, the rest from Prometheus.

import { call } from "./access.js";
import { chip, one, repeat, say } from "./dom.js";

const SECONDS = 10;
const tones = { ready: "good", starting: "warn", draining: "warn" };

async function readiness() {
  try {
    const response = await fetch("/health/ready", { headers: { Accept: "application/json" } });
    return await response.json();
  } catch {
    return { status: "does not answer", checks: {} };
  }
}

function showChecks(place, found) {
  const chips = Object.entries(found.checks ?? {}).map(([name, check]) =>
    chip(`${name} ${check.status}`, check.status === "up" ? "good" : "bad"),
  );
  const shown = chips.length ? chips : [chip(found.status, tones[found.status] ?? "bad")];
  const text = shown.map((each) => each.textContent).join();
  if (place.dataset.text === text) return;
  place.dataset.text = text;
  place.replaceChildren(...shown);
}

function latency(seconds) {
  if (seconds === null) return "no data";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

function showAlerts(place, alerts) {
  if (!alerts.length) {
    place.replaceChildren("none firing");
    return;
  }
  place.replaceChildren(...alerts.map(({ name, severity }) =>
    chip(name, severity === "warning" || severity === "ticket" ? "warn" : "bad")));
}

function showReadings(at, found) {
  say(at("reason"), found.reason ? `No figures: ${found.reason}` : "");
  at("reason").hidden = !found.reason;
  if (found.reason) {
    for (const name of ["rate", "latency", "alerts"]) say(at(name), "–");
    return;
  }
  const rate = found.request_rate;
  say(at("rate"), rate === null ? "no data" : `${rate.toFixed(rate < 10 ? 2 : 0)} / s`);
  say(at("latency"), latency(found.latency_seconds));
  showAlerts(at("alerts"), found.alerts);
}

export function mountHealth({ root, signal, attempt }) {
  const at = (name) => one(`[data-health=${name}]`, root);
  if (!at("status")) return;
  repeat(signal, SECONDS, async () => {
    showChecks(at("status"), await readiness());
    const failed = (error) => showReadings(at, { reason: error.message });
    const found = await attempt(() => call("GET", "/console/telemetry"), failed);
    if (found) showReadings(at, found);
  });
}
