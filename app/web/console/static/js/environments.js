// The list of environments, kept up to date row by row, and the form that makes one.

import { api } from "./access.js";
import { make, one, say, showProblem } from "./dom.js";
import { mountCreate } from "./create.js";
import { keepFresh } from "./live.js";
import { shownPorts } from "./ports.js";
import { Rows, all, cell } from "./rows.js";
import { actionButtons, remark, replaceButtons, statusChip } from "./statuses.js";

const SECONDS = 2;
const PAGE = 50;

function build(environment) {
  const parts = {
    status: make("span"), why: make("span", { class: "dim" }), image: make("code"), ports: make("span", { class: "ports" }),
    limits: make("span", { class: "whole" }), project: make("span", { class: "dim" }), actions: make("div", { class: "row" }), shown: "",
    name: make("a", { href: `/environments/${environment.id}` }, environment.name),
  };
  parts.row = make("tr", { role: "row" }, cell("", parts.name, parts.project), cell("Status", parts.status, parts.why),
    cell("Image", parts.image), cell("Ports", parts.ports), cell("Limits", parts.limits), cell("", parts.actions));
  return parts;
}

function fill(parts, environment, projects, tools) {
  say(parts.name, environment.name);
  say(parts.project, projects.get(environment.project_id) ?? "");
  say(parts.why, remark(environment));
  parts.why.className = environment.status === "error" ? "problem" : "dim";
  say(parts.image, environment.image);
  say(parts.limits, `${environment.cpu_limit} CPU, ${environment.memory_limit_mb} MiB`);
  const shown = JSON.stringify([environment.status, environment.may, environment.published_ports, environment.ports]);
  if (parts.shown === shown) return;
  parts.shown = shown;
  parts.ports.replaceChildren(...shownPorts(environment));
  parts.status.replaceChildren(statusChip(environment.status));
  replaceButtons(parts.actions, actionButtons(environment, tools, true));
}

export function mountEnvironments(here) {
  const { root, signal, attempt } = here;
  const names = new Map();
  const fail = (error) => showProblem(root, error);
  const filter = one("#project", root);
  const rows = new Rows(one("[data-rows]", root), {
    build, fill: (parts, item) => fill(parts, item, names.size > 1 ? names : new Map(), { attempt, fail, done: () => refresh() }),
  });
  let offset = 0;
  let starting = false;
  let asked = 0;

  async function refresh() {
    asked += 1;
    const mine = asked;
    const of = filter.value ? `&project_id=${encodeURIComponent(filter.value)}` : "";
    const page = await attempt(() => api("GET", `/environments?limit=${PAGE}&offset=${offset}${of}`), (error) => {
      say(one("#none", root), `Not up to date: ${error.message}`);
    });
    // An answer to what was asked before this one may come after it.
    if (!page || signal.aborted || mine !== asked) return;
    starting = page.items.some((item) => item.status === "starting");
    rows.draw(page.items);
    say(one("#none", root), page.total ? "" : "You have no environments yet.");
    one("#pages", root).hidden = page.total <= PAGE;
    say(one("#place", root), `${offset + 1} to ${offset + page.items.length} of ${page.total}`);
    one("#newer", root).disabled = offset === 0;
    one("#older", root).disabled = offset + PAGE >= page.total;
  }
  const turn = (by) => {
    offset = Math.max(0, offset + by);
    refresh();
  };
  one("#newer", root).addEventListener("click", () => turn(-PAGE));
  one("#older", root).addEventListener("click", () => turn(PAGE));
  filter.addEventListener("change", () => {
    offset = 0;
    refresh();
  });
  attempt(async () => {
    const projects = await all(api, "/projects");
    if (signal.aborted) return;
    projects.forEach((project) => names.set(project.id, project.name));
    filter.append(...projects.map((project) => make("option", { value: project.id }, project.name)));
    filter.value = new URLSearchParams(location.search).get("project") ?? "";
    one("[data-filter]", root).hidden = projects.length < 2;
    mountCreate(here, projects);
    refresh();
  }, fail);
  keepFresh(here, "/environments/status/stream", SECONDS, refresh, () => starting);
}
