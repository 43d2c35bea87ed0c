// The health strip: readiness and received alerts from the service itself, the rest from Prometheus.

import { call } from "./access.js";
import { chip, make, one, repeat, say } from "./dom.js";

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

const mild = { warning: "warn", ticket: "warn", info: "" };

/** Whoever writes a rule chooses the text, and the address: the service lets through http(s) only. */
function alertChip({ name, severity, summary, link }) {
  const shown = chip(name, mild[severity] ?? "bad");
  if (summary) shown.title = summary;
  return link ? make("a", { href: link, rel: "noreferrer", target: "_blank" }, shown) : shown;
}

function showAlerts(place, found) {
  if (found.alerts_reason) {
    say(place, "–");
    return;
  }
  // The same ones again would take away the focus from a link.
  const text = JSON.stringify(found.alerts);
  if (place.dataset.text === text && place.children.length) return;
  place.dataset.text = text;
  place.replaceChildren(...(found.alerts.length ? found.alerts.map(alertChip) : ["none firing"]));
}

function showReasons(place, found) {
  const [figures, alerts] = [found.reason, found.alerts_reason];
  const reasons = [figures && `No figures: ${figures}`];
  if (alerts !== figures) reasons.push(alerts && `No alerts: ${alerts}`);
  say(place, reasons.filter(Boolean).join(" "));
  place.hidden = !figures && !alerts;
}

function showReadings(at, found) {
  showReasons(at("reason"), found);
  showAlerts(at("alerts"), found);
  if (found.reason) {
    for (const name of ["rate", "latency"]) say(at(name), "–");
    return;
  }
  const rate = found.request_rate;
  say(at("rate"), rate === null ? "no data" : `${rate.toFixed(rate < 10 ? 2 : 0)} / s`);
  say(at("latency"), latency(found.latency_seconds));
}

export function mountHealth({ root, signal, attempt }) {
  const at = (name) => one(`[data-health=${name}]`, root);
  if (!at("status")) return;
  repeat(signal, SECONDS, async () => {
    showChecks(at("status"), await readiness());
    const failed = (error) => {
      showReadings(at, { reason: error.message, alerts_reason: error.message });
    };
    const found = await attempt(() => call("GET", "/console/telemetry"), failed);
    if (found) showReadings(at, found);
  });
}
