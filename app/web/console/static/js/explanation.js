// What is behind an alert: its culprit, and the evidence that the reader may see.

import { api } from "./access.js";
import { make, one, say } from "./dom.js";

const seconds = (number) => `${number < 1 ? `${Math.round(number * 1000)} ms` : `${number.toFixed(1)} s`}`;
const moment = (text) => new Date(text).toLocaleTimeString();

function named({ kind, id }) {
  return [`${kind.replaceAll("_", " ")} `, make("code", {}, id)];
}

function series({ labels, value }) {
  const shown = Object.entries(labels).filter(([name]) => name !== "job").map(([name, text]) => `${name} ${text}`);
  return [shown.join(", ") || "the whole service", `: ${value === null ? "no number" : Number(value.toPrecision(3))}`];
}

function trace({ trace_id, name, seconds: whole, slowest, failed }) {
  const ended = failed ? `; failed: ${failed.name} (${failed.error})` : "";
  return [`${name}, ${seconds(whole)}; longest: ${slowest.name}, ${seconds(slowest.own_seconds)}${ended} `, make("code", {}, trace_id)];
}

function line({ at, level, event, fields }) {
  const told = ["method", "path", "status", "problem", "why"].filter((name) => fields[name]).map((name) => `${name} ${fields[name]}`);
  return [make("time", { datetime: at }, moment(at)), ` ${level} ${event} ${told.join(", ")}`];
}

function environment({ id, name, status, exit_reason, exit_code, exited_at, log, missing }) {
  const ended = exit_reason ? `, last exit ${exit_reason}${exit_code === null ? "" : ` (${exit_code})`} at ${moment(exited_at)}` : "";
  const titled = name ? make("a", { href: `/environments/${encodeURIComponent(id)}` }, name) : make("code", {}, id);
  const said = missing ? [make("span", { class: "dim" }, ` ${missing}`)] : [];
  const written = log.length ? [make("pre", {}, log.map((one) => one.line).join("\n"))] : [];
  return [titled, `${status ? ` ${status}` : ""}${ended}`, ...said, ...written];
}

/** A part of the answer: what there is, and why there is not more. */
function part(title, { items, missing }, shown) {
  const list = items.length ? [make("ul", {}, ...items.map((item) => make("li", {}, ...shown(item))))] : [];
  return [make("h3", {}, title), ...list, ...(missing ? [make("p", { class: "dim" }, missing)] : [])];
}

function culprit(found) {
  if (!found.culprit) return make("p", {}, `No culprit: ${found.culprit_missing}.`);
  return make("p", {}, "It comes from the ", make("strong", {}, ...named(found.culprit)), ".");
}

function shown(found) {
  const steps = found.steps.map(({ culprit: one, because }) => make("li", {}, ...named(one), ` – ${because}`));
  return [
    culprit(found),
    ...(steps.length ? [make("ol", {}, ...steps)] : []),
    ...part("Series, the worst first", found.series, series),
    ...part("Traces", found.traces, trace),
    ...part("Log lines", found.lines, line),
    ...part("Environments", found.environments, environment),
  ];
}

/** Ask for the explanation of an alert, and show it in the place kept for it. */
export async function explain({ root, signal, attempt }, { name, reference }) {
  const place = one("[data-explanation=place]", root);
  const state = one("[data-explanation=state]", root);
  const body = one("[data-explanation=body]", root);
  place.hidden = false;
  body.replaceChildren();
  say(one("h2", place), `What is behind ${name}`);
  say(state, "Looking …");
  one("h2", place).focus();
  const path = `/alerts/${encodeURIComponent(reference)}/explanation`;
  const found = await attempt(() => api("GET", path), (error) => say(state, error.message));
  if (!found || signal.aborted) return;
  say(state, found.alert.firing ? "" : "It does not fire now.");
  body.replaceChildren(...shown(found));
}

export function explainButton(context, alert) {
  const button = make("button", { type: "button", class: "small", "aria-label": `Explain ${alert.name}` }, "Explain");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await explain(context, alert);
    button.disabled = false;
  });
  return button;
}
