// Extensions of the environment: what it is to have, and how far the agent is with that.

import { api } from "./access.js";
import { chip, make, one, repeat, showProblem } from "./dom.js";

const SECONDS = 2;
const tones = { installed: "good", failed: "bad", pending: "", installing: "warn", uninstalling: "warn" };

function why(extension) {
  if (extension.state !== "failed") return "";
  const code = extension.exit_code === null ? "" : `exit code ${extension.exit_code}: `;
  return `${code}${(extension.output ?? "").trim().split("\n").slice(-4).join("\n")}`;
}

function row(extension, remove, retry) {
  const state = make("td", { role: "cell", "data-label": "State" }, chip(extension.state, tones[extension.state]));
  if (why(extension)) state.append(make("pre", {}, why(extension)));
  const buttons = make("div", { class: "row" });
  const add = (label, work) =>
    buttons.append(make("button", { type: "button", "aria-label": `${label} ${extension.name}`, onclick: work }, label));
  if (extension.state === "failed" && !extension.uploaded) add("Try again", () => retry(extension));
  if (extension.state !== "uninstalling") add("Remove", () => remove(extension));
  return make("tr", { role: "row" },
    make("td", { role: "cell", "data-label": "Name" }, extension.name), state,
    make("td", { role: "cell", "data-label": "Version" }, extension.version ?? "newest"),
    make("td", { role: "cell", "data-label": "Actions" }, buttons));
}

export function mountExtensions({ root, signal, attempt }, environment) {
  const place = one("[data-extensions]", root);
  const at = (name) => one(`[data-extensions=${name}]`, place);
  const path = `${environment}/extensions`;
  const form = at("form");
  const fail = (error) => showProblem(place, error);
  let shown = "";

  function draw(items) {
    const text = JSON.stringify(items);
    if (text === shown) return;
    shown = text;
    const focused = document.activeElement?.getAttribute("aria-label");
    const had = at("rows").contains(document.activeElement);
    at("rows").replaceChildren(...items.map((one) => row(one, remove, retry)));
    at("none").hidden = items.length > 0;
    if (!had) return;
    const again = [...at("rows").querySelectorAll("button")].find((one) => one.getAttribute("aria-label") === focused);
    (again ?? form.elements.id).focus();
  }
  async function refresh() {
    // The page itself tells of an environment that cannot be read.
    const found = await attempt(() => api("GET", `${path}?limit=100`), () => {});
    if (found && !signal.aborted) draw(found.items);
  }
  async function change(work) {
    fail(null);
    await attempt(work, fail);
    await refresh();
  }
  const reference = ({ name, version }) => (version ? `${name}@${version}` : name);
  const remove = (extension) => change(() => api("DELETE", `${path}/${extension.id}`));
  const retry = (extension) => change(() => api("POST", path, { id: reference(extension) }));

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change(async () => {
      await api("POST", path, { id: form.elements.id.value.trim() });
      form.reset();
    });
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
