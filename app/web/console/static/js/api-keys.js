// API keys: made, shown once, listed and revoked.

import { api } from "./access.js";
import { confirmed } from "./confirm.js";
import { make, notice, one, say, showProblem } from "./dom.js";
import { inHours, onSubmit } from "./forms.js";
import { me } from "./me.js";
import { action, actions, cell, drawTable } from "./rows.js";
import { day } from "./teams.js";

const used = (text) => (text ? new Date(text).toLocaleString() : "never");

export function mountApiKeys(here) {
  const { root, signal, attempt } = here;
  const fail = (error) => showProblem(root, error);
  const [keys, made, form] = [one("[data-keys]", root), one("[data-made]", root), one("[data-new-key]", root)];

  async function revoke(key) {
    const text = "Programs that use it are refused at once, and what they have open is closed.";
    if (!(await confirmed(`Revoke ${key.name}?`, text, { yes: "Revoke", no: "Keep" }))) return;
    await api("DELETE", `/api-keys/${key.id}`);
    await refresh();
  }
  async function refresh() {
    const [account, { items }] = await Promise.all([me(), api("GET", "/api-keys")]);
    if (signal.aborted) return;
    const may = account.may.includes("api_key.change");
    form.parentElement.hidden = !may;
    say(one("[data-none]", keys), items.length ? "" : "You have none.");
    drawTable(one("[data-rows]", keys), items, (key) => [
      cell("", key.name, make("code", { class: "dim" }, `${key.prefix}…`)), cell("May", key.scopes.join(", ")),
      cell("Last used", used(key.last_used_at)), cell("Expires", key.expires_at ? day(key.expires_at) : "never"),
      actions(may && action("Revoke", key.name, () => attempt(() => revoke(key), fail))),
    ]);
  }
  onSubmit(form, here, async ({ elements }) => {
    const scopes = [...elements.scopes].filter((box) => box.checked).map((box) => box.value);
    const body = { name: elements.name.value.trim(), scopes };
    if (elements.expires_at.value) body.expires_at = inHours(elements.expires_at.value);
    const { key } = await api("POST", "/api-keys", body);
    say(one("[data-key]", made), key);
    made.hidden = false;
    one("h2", made).focus();
    form.reset();
    await refresh();
  });
  one("[data-copy]", made).addEventListener("click", () => attempt(async () => {
    await copy(one("[data-key]", made));
    notice("Copied.");
  }));
  attempt(refresh, fail);
}

/** Copy the text of an element; over plain HTTP, where there is no clipboard for scripts, select it. */
export async function copy(element) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(element.textContent);
    return;
  }
  getSelection().selectAllChildren(element);
  if (!document.execCommand("copy")) throw new Error("Press Ctrl-C to copy what is selected.");
}
