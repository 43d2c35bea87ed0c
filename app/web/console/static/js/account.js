// The account of whoever is signed in: its password, and where it is signed in.

import { api, signOut } from "./access.js";
import { confirmed } from "./confirm.js";
import { make, one, say, showProblem } from "./dom.js";
import { FieldError, onSubmit } from "./forms.js";
import { fact } from "./header.js";
import { forgetMe, me } from "./me.js";
import { drawQuota } from "./quota.js";
import { action, actions, all, cell, drawTable } from "./rows.js";
import { day } from "./teams.js";

const kinds = { console: "Console", api: "Command line or program" };

export function mountAccount(here) {
  const { root, signal, attempt, go } = here;
  const fail = (error) => showProblem(root, error);
  const [logins, form] = [one("[data-logins]", root), one("[data-password]", root)];

  async function end(login) {
    if (!login.current) return api("DELETE", `/auth/logins/${login.id}`);
    await signOut();
    forgetMe();
    return go("/sign-in");
  }
  async function endOthers() {
    const text = "Whoever is signed in there is signed out, and what they have open is closed.";
    if (!(await confirmed("End all other logins?", text, { yes: "End them", no: "Keep them" }))) return;
    await api("DELETE", "/auth/logins");
    await refresh();
  }
  function where(login) {
    const shown = [kinds[login.kind] ?? "Login", login.address].filter(Boolean).join(", ");
    const parts = [make("span", {}, login.current ? `${shown} (this one)` : shown)];
    if (login.user_agent) parts.push(make("span", { class: "dim" }, login.user_agent));
    return cell("", ...parts);
  }
  async function refresh() {
    const items = await all(api, "/auth/logins");
    if (signal.aborted) return;
    const others = items.filter((login) => !login.current);
    say(one("[data-none]", logins), "");
    one("[data-end-others]", logins).hidden = !others.length;
    one("[data-end-others]", logins).onclick = () => attempt(endOthers, fail);
    drawTable(one("[data-rows]", logins), items, (login) => [
      where(login), cell("Last used", new Date(login.last_used_at).toLocaleString()), cell("Since", day(login.created_at)),
      actions(action("End", where(login).textContent, () => attempt(async () => {
        await end(login);
        if (!login.current) await refresh();
      }, fail))),
    ]);
  }
  onSubmit(form, here, async ({ elements }) => {
    const [before, after] = [elements.old_password.value, elements.new_password.value];
    if (after !== elements.again.value) throw new FieldError("again", "This is not what stands above.");
    await api("POST", "/auth/password", { old_password: before, new_password: after });
    form.reset();
    say(one("[data-saved]", form), "Changed. Your other logins have ended.");
    await refresh();
  });
  attempt(async () => {
    const [account, quota] = await Promise.all([me(), api("GET", "/quota")]);
    if (signal.aborted) return;
    form.elements.username.value = account.email;
    one("[data-self]", root).replaceChildren(fact("E-mail address", account.email), fact("Since", day(account.created_at)),
      ...(account.is_operator ? [fact("You are", "an operator of this VibeBox")] : []));
    drawQuota(one("[data-quota]", root), quota);
    await refresh();
  }, fail);
}
