// Extensions of the environment: what it is to have, and how far the agent is with that.

import { api } from "./access.js";
import { chip, make, one, repeat } from "./dom.js";
import { onSubmit, showProblems } from "./forms.js";
import { action, actions, cell, drawTable } from "./rows.js";

const SECONDS = 2;
const tones = { installed: "good", failed: "bad", pending: "", installing: "warn", uninstalling: "warn" };

function why(extension) {
  if (extension.state !== "failed") return "";
  const code = extension.exit_code === null ? "" : `exit code ${extension.exit_code}: `;
  return `${code}${(extension.output ?? "").trim().split("\n").slice(-4).join("\n")}`;
}

export function mountExtensions({ root, signal, attempt }, environment, { may }) {
  const place = one("[data-extensions]", root);
  const at = (name) => one(`[data-extensions=${name}]`, place);
  const path = `${environment}/extensions`;
  const form = at("form");
  const fail = (error) => showProblems(form, error);
  const mayChange = may.includes("extension.change");
  let shown = "";

  const reference = ({ name, version }) => (version ? `${name}@${version}` : name);
  function cells(extension) {
    const state = cell("State", chip(extension.state, tones[extension.state]));
    if (why(extension)) state.append(make("pre", {}, why(extension)));
    const retry = () => change(() => api("POST", path, { id: reference(extension) }));
    const remove = () => change(() => api("DELETE", `${path}/${extension.id}`));
    return [cell("", extension.name), state, cell("Version", extension.version ?? "newest"), actions(
      mayChange && extension.state === "failed" && !extension.uploaded && action("Try again", extension.name, retry),
      mayChange && extension.state !== "uninstalling" && action("Remove", extension.name, remove))];
  }
  async function refresh() {
    if (root.dataset.tab !== "vscode") return;
    // The page itself tells of an environment that cannot be read.
    const found = await attempt(() => api("GET", `${path}?limit=100`), () => {});
    const text = JSON.stringify(found?.items);
    if (!found || signal.aborted || text === shown) return;
    shown = text;
    drawTable(one("[data-rows]", place), found.items, cells);
    at("none").hidden = found.items.length > 0;
  }
  async function change(work) {
    fail(null);
    await attempt(work, fail);
    await refresh();
  }
  onSubmit(form, { attempt }, async () => {
    await api("POST", path, { id: form.elements.id.value.trim() });
    form.reset();
    await refresh();
  });
  form.elements.package.addEventListener("change", ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    change(async () => {
      await api("POST", `${path}/upload`, file);
      form.reset();
    });
  });
  repeat(signal, SECONDS, refresh);
}
