// The page of one environment: what it is, and a tab for each thing to do with it.

import { api } from "./access.js";
import { make, notice, one, say, showProblem } from "./dom.js";
import { mountExtensions } from "./extensions.js";
import { fact } from "./header.js";
import { keepFresh } from "./live.js";
import { mountLogs } from "./logs.js";
import { shownPorts } from "./ports.js";
import { mountSettings } from "./settings.js";
import { actionButtons, remark, replaceButtons, statusChip } from "./statuses.js";
import { mountTabs } from "./tabs.js";
import { mountTerminal } from "./terminal.js";
import { mountUsage } from "./usage.js";
import { mountHistory } from "./history.js";
import { mountVsCode } from "./vscode.js";

const SECONDS = 1.5;
const reasons = {
  user: "stopped by request", oom: "out of memory", error: "its command failed",
  killed: "killed by a signal", completed: "its command ended",
};

const moment = (text) => new Date(text).toLocaleString();

function lastEnd(environment) {
  if (!environment.exit_reason) return "none yet";
  const reason = reasons[environment.exit_reason] ?? environment.exit_reason;
  const code = environment.exit_code === null ? "" : ` (exit code ${environment.exit_code})`;
  return `${reason}${code}, ${moment(environment.exited_at)}`;
}

function facts(environment) {
  const ports = shownPorts(environment);
  return [
    fact("Image", make("code", {}, environment.image)),
    fact("Ports", ...(ports.length ? [make("span", { class: "ports" }, ...ports)] : ["none"])),
    fact("Limits", `${environment.cpu_limit} CPU, ${environment.memory_limit_mb} MiB`),
    fact("Volume", environment.volume_path ? make("code", {}, environment.volume_path) : "none"),
    fact("Last end", lastEnd(environment)),
    fact("Created", moment(environment.created_at)),
    fact("Expires", environment.expires_at ? moment(environment.expires_at) : "never"),
  ];
}

/** Show no part of the page that is for what the caller may not do. */
function offerWhatIsAllowed(root, environment) {
  for (const part of root.querySelectorAll("[data-needs]")) part.hidden = !environment.may.includes(part.dataset.needs);
  one("#tab-terminal", root).hidden = !environment.may.includes("session.use");
  one("#tab-settings", root).hidden = !environment.may.some((action) => /^environment\.(change|delete)$/.test(action));
}

export function mountEnvironment(here) {
  const { root, signal, attempt, go } = here;
  const { id, tab } = one("#environment", root).dataset;
  const path = `/environments/${encodeURIComponent(id)}`;
  const at = (name) => one(`[data-show=${name}]`, root);
  const fail = (error) => showProblem(root, error);
  let shown = "";
  let lost = false;
  let starting = false;
  let openTab = null;

  function begin(environment) {
    offerWhatIsAllowed(root, environment);
    const parts = { terminal: mountTerminal(here, path), logs: mountLogs(here, path) };
    mountVsCode(here, path);
    mountExtensions(here, path, environment);
    mountUsage(here, path);
    mountHistory(here, id);
    mountSettings(here, path, { done, gone });
    openTab = mountTabs(one("[role=tablist]", root), tab, (name) => {
      root.dataset.tab = name;
      history.replaceState(null, "", `/environments/${id}${name === "overview" ? "" : `/${name}`}`);
      Object.entries(parts).forEach(([key, part]) => part.show(key === name));
    });
  }
  function draw(environment) {
    const text = JSON.stringify(environment);
    if (text === shown) return;
    shown = text;
    if (!openTab) begin(environment);
    say(one("#environment-name", root), environment.name);
    document.title = `${environment.name} · VibeBox`;
    at("facts").replaceChildren(...facts(environment));
    starting = environment.status === "starting";
    const why = remark(environment);
    if (at("status").dataset.status !== environment.status) {
      at("status").dataset.status = environment.status;
      at("status").replaceChildren(statusChip(environment.status));
      replaceButtons(at("actions"), actionButtons(environment, { attempt, fail, done }));
    }
    say(at("remark"), why);
    at("remark").hidden = !why;
    at("remark").className = environment.status === "error" ? "problem" : "dim";
    root.dispatchEvent(new CustomEvent("environment", { detail: environment }));
  }
  async function done(environment) {
    if (environment) draw(environment);
    else await gone();
  }
  const gone = () => go("/");
  async function refresh() {
    const found = await attempt(() => api("GET", path), (error) => {
      lost = true;
      if (error.status !== 404) return fail(error);
      notice("This environment is gone.");
      return gone();
    });
    if (!found || signal.aborted) return;
    if (lost) fail(null);
    lost = false;
    draw(found);
  }
  keepFresh(here, `${path}/status/stream`, SECONDS, refresh, () => starting);
}
