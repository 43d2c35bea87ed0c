// The page of one environment.

import { api } from "./access.js";
import { make, notice, one, say, showProblem } from "./dom.js";
import { mountExtensions } from "./extensions.js";
import { keepFresh } from "./live.js";
import { mountLogs } from "./logs.js";
import { actionButtons, remark, replaceButtons, statusChip } from "./statuses.js";
import { mountTerminal } from "./terminal.js";
import { mountVsCode } from "./vscode.js";

const SECONDS = 1.5;
const reasons = {
  user: "stopped by request", oom: "out of memory", error: "its command failed",
  killed: "killed by a signal", completed: "its command ended",
};

const moment = (text) => new Date(text).toLocaleString();

function lastEnd(environment) {
  if (!environment.exit_reason) return "";
  const reason = reasons[environment.exit_reason] ?? environment.exit_reason;
  const code = environment.exit_code === null ? "" : ` (exit code ${environment.exit_code})`;
  return `${reason}${code}, ${moment(environment.exited_at)}`;
}

function ports(environment) {
  const published = environment.status === "running" ? environment.published_ports : [];
  if (published.length) return published.map((port) => `${port.container_port} on port ${port.host_port}`).join(", ");
  return environment.ports.map((port) => `${port.container_port}, not published now`).join("; ");
}

function facts(environment) {
  return [
    ["Image", environment.image],
    ["Ports", ports(environment) || "none"],
    ["Limits", `${environment.cpu_limit} CPU, ${environment.memory_limit_mb} MiB`],
    ["Volume", environment.volume_path ?? "none"],
    ["Last end", lastEnd(environment) || "none yet"],
    ["Created", moment(environment.created_at)],
    ["Expires", environment.expires_at ? moment(environment.expires_at) : "never"],
  ];
}

function drawFacts(place, environment) {
  const found = facts(environment);
  const text = JSON.stringify(found);
  if (place.dataset.text === text) return;
  place.dataset.text = text;
  place.replaceChildren(...found.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

export function mountEnvironment(here) {
  const { root, signal, attempt, go } = here;
  const id = one("#environment", root).dataset.id;
  const path = `/environments/${encodeURIComponent(id)}`;
  const at = (name) => one(`[data-show=${name}]`, root);
  const fail = (error) => showProblem(root, error);
  let shown = "";
  let lost = false;
  let starting = false;

  function draw(environment) {
    say(one("#environment-name", root), environment.name);
    document.title = `${environment.name} · VibeBox`;
    drawFacts(at("facts"), environment);
    starting = environment.status === "starting";
    const now = environment.status + remark(environment);
    if (now === shown) return;
    shown = now;
    at("status").replaceChildren(statusChip([environment.status, remark(environment)].filter(Boolean).join(": "), environment.status));
    replaceButtons(at("actions"), actionButtons(environment, { attempt, fail, done }));
    root.dispatchEvent(new CustomEvent("status", { detail: environment.status }));
  }
  async function done(environment) {
    if (environment) draw(environment);
    else await go("/");
  }
  async function refresh() {
    const found = await attempt(() => api("GET", path), (error) => {
      lost = true;
      fail(error);
      if (error.status === 404) stop();
    });
    if (!found || signal.aborted) return;
    if (lost) fail(null);
    lost = false;
    draw(found);
  }
  function stop() {
    notice("This environment is gone.");
    go("/");
  }
  keepFresh(here, `${path}/status/stream`, SECONDS, refresh, () => starting);
  mountLogs(here, path);
  mountTerminal(here, path);
  mountVsCode(here, path);
  mountExtensions(here, path);
}
