// The list of environments, kept up to date row by row, and the form that makes one.

import { api } from "./access.js";
import { make, one, say, showProblem } from "./dom.js";
import { mountCreate } from "./create.js";
import { keepFresh } from "./live.js";
import { actionButtons, remark, replaceButtons, statusChip } from "./statuses.js";

const SECONDS = 2;
const PAGE = 50;

const cell = (label, ...children) =>
  make("td", { role: "cell", ...(label ? { "data-label": label } : {}) }, ...children);

function newRow(environment) {
  const status = make("span");
  const why = make("span", { class: "dim" });
  const image = make("code");
  const limits = make("span");
  const name = make("a", { href: `/environments/${environment.id}` }, environment.name);
  const actions = make("div", { class: "row" });
  const row = make("tr", { role: "row" }, cell("", name), cell("Status", status, why),
    cell("Image", image), cell("Limits", limits), cell("", actions));
  return { row, status, why, image, limits, name, actions, shown: "" };
}

function fill(parts, environment, tools) {
  say(parts.name, environment.name);
  say(parts.why, remark(environment));
  say(parts.image, environment.image);
  say(parts.limits, `${environment.cpu_limit} CPU, ${environment.memory_limit_mb} MiB`);
  if (parts.shown === environment.status) return;
  parts.shown = environment.status;
  parts.status.replaceChildren(statusChip(environment.status));
  replaceButtons(parts.actions, actionButtons(environment, tools));
}

/** Draw a page of environments into `body`: rows that stay are changed in place. */
function draw(body, rows, page, tools) {
  const kept = new Set(page.items.map((item) => item.id));
  for (const [id, parts] of rows) {
    if (!kept.has(id)) {
      parts.row.remove();
      rows.delete(id);
    }
  }
  page.items.forEach((environment, place) => {
    if (!rows.has(environment.id)) rows.set(environment.id, newRow(environment));
    const parts = rows.get(environment.id);
    fill(parts, environment, tools);
    if (body.children[place] !== parts.row) body.insertBefore(parts.row, body.children[place] ?? null);
  });
}

export function mountEnvironments(here) {
  const { root, signal, attempt, go } = here;
  const body = one("#environments", root);
  const rows = new Map();
  let offset = 0;
  let starting = false;
  const fail = (error) => showProblem(root, error);

  async function refresh() {
    const page = await attempt(() => api("GET", `/environments?limit=${PAGE}&offset=${offset}`), (error) => {
      say(one("#none", root), `Not up to date: ${error.message}`);
    });
    if (!page || signal.aborted) return;
    starting = page.items.some((item) => item.status === "starting");
    draw(body, rows, page, { attempt, fail, done: refresh });
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
  mountCreate({ root, attempt, go });
  keepFresh(here, "/environments/status/stream", SECONDS, refresh, () => starting);
}
