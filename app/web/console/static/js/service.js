// How the service is: its checks, figures where a Prometheus is asked, and alerts.

import { call } from "./access.js";
import { chip, make, one, repeat, say } from "./dom.js";
import { explain, explainButton } from "./explanation.js";
import { fact, readiness } from "./header.js";
import { me } from "./me.js";
import { Silences } from "./silences.js";

const SECONDS = 10;
const mild = { warning: "warn", ticket: "warn", info: "" };

function checks(found) {
  const each = Object.entries(found.checks ?? {}).map(([name, check]) => {
    const time = check.status === "up" && check.latency_ms !== undefined ? ` in ${check.latency_ms.toFixed(1)} ms` : "";
    return fact(name, chip(`${check.status}${time}`, check.status === "up" ? "good" : "bad"));
  });
  return [fact("Service", chip(found.status, found.status === "ready" ? "good" : "bad")), ...each];
}

function latency(seconds) {
  if (seconds === null) return "no data";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

/** Whoever writes a rule chooses the text, and the address: the service lets through http(s) only. */
function alertLine(context, silences, alert) {
  const { name, severity, summary, link } = alert;
  const shown = chip(name, mild[severity] ?? "bad");
  const titled = link ? make("a", { href: link, rel: "noreferrer", target: "_blank" }, shown) : shown;
  return make("p", { class: "row" }, titled, summary, explainButton(context, alert), ...silences.parts(alert));
}

function showFigures(context, silences, found) {
  const { root } = context;
  const at = (name) => one(`[data-health=${name}]`, root);
  one("[data-figures]", root).hidden = Boolean(found.reason);
  if (!found.reason) {
    const rate = found.request_rate;
    say(at("rate"), rate === null ? "no data" : `${rate.toFixed(rate < 10 ? 2 : 0)} / s`);
    say(at("latency"), latency(found.latency_seconds));
  }
  one("[data-alerts]", root).hidden = Boolean(found.alerts_reason);
  const text = JSON.stringify([found.alerts, silences.may]);
  if (found.alerts_reason || at("alerts").dataset.text === text) return;
  // The same ones again would take away the focus from a link.
  at("alerts").dataset.text = text;
  at("alerts").replaceChildren(...(found.alerts.length ? found.alerts.map((alert) => alertLine(context, silences, alert)) : [make("p", { class: "dim" }, "None fires.")]));
}

/** What is missing is said to those who can set it. */
function showReasons(root, found, isOperator) {
  const [figures, alerts] = [found.reason, found.alerts_reason];
  const reasons = [figures && `No figures: ${figures}`];
  if (alerts !== figures) reasons.push(alerts && `No alerts: ${alerts}`);
  const place = one("[data-health=reason]", root);
  say(place, reasons.filter(Boolean).join(" "));
  place.hidden = !isOperator || !place.textContent;
}

export function mountService(context) {
  const { root, signal, attempt } = context;
  // Where the link of a message leads.
  const named = new URLSearchParams(location.search).get("explain");
  if (named) explain(context, { name: named, reference: named });
  const look = async () => {
    const found = await readiness();
    one("[data-health=checks]", root).replaceChildren(...checks(found));
    const account = await attempt(me, () => {});
    const failed = (error) => showReasons(root, { reason: error.message, alerts_reason: error.message }, true);
    const telemetry = await attempt(() => call("GET", "/console/telemetry"), failed);
    if (!telemetry || signal.aborted) return;
    silences.show(telemetry);
    showFigures(context, silences, telemetry);
    showReasons(root, telemetry, account?.is_operator);
  };
  const silences = new Silences(context, look);
  repeat(signal, SECONDS, look);
}
