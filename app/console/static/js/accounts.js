// For operators: whose accounts there are, and what may be done about each.

import { api } from "./access.js";
import { copy } from "./api-keys.js";
import { ask, confirmed } from "./confirm.js";
import { chip, make, notice, one, say, showProblem } from "./dom.js";
import { onSubmit } from "./forms.js";
import { me } from "./me.js";
import { action, actions, all, cell, drawTable } from "./rows.js";
import { day } from "./teams.js";

const modes = {
  open: "Registration is open: whoever reaches this VibeBox can make an account.",
  invited: "Accounts are made by invitation.",
  closed: "Registration is closed: only operators make accounts.",
};
const moment = (text) => (text ? new Date(text).toLocaleString() : "never");

export function mountAccounts(here) {
  const { root, signal, attempt } = here;
  const fail = (error) => showProblem(root, error);
  const [list, invitations, made] = [one("[data-accounts]", root), one("[data-invitations]", root), one("[data-made]", root)];
  const form = one("[data-new-invitation]", root);

  /** A button whose work is told when it is done, and whose list is asked for anew. */
  const button = (label, account, work) => action(label, account.email, () => attempt(async () => {
    fail(null);
    if ((await work(account)) !== false) await refresh();
  }, fail));

  async function disable(account) {
    const text = "Its logins and API keys are refused, and what they have open is closed. Its environments stay.";
    if (!(await confirmed(`Disable ${account.email}?`, text, { yes: "Disable", no: "Leave it" }))) return false;
    return api("POST", `/accounts/${account.id}/disable`);
  }
  function setPassword(account) {
    const fields = [{ name: "password", label: "New password", type: "password", autocomplete: "new-password", help: "At least 12 characters. All logins of the account end." }];
    ask(here, { title: `A new password for ${account.email}`, fields, submit: "Set it" }, async (values) => {
      await api("PUT", `/accounts/${account.id}/password`, values);
      notice(`The password of ${account.email} is set.`);
    });
    return false;
  }
  function setQuota(account) {
    const help = "Empty: the default of the service.";
    const fields = [
      { name: "environments", label: "Environments", type: "number", min: "0", help },
      { name: "cpus", label: "CPUs of those that run", type: "number", min: "0", step: "0.1", help },
      { name: "memory_mb", label: "Memory of those that run, MiB", type: "number", min: "0", help },
    ];
    ask(here, { title: `Limits of ${account.email}`, fields, submit: "Set them" }, async (values) => {
      const limits = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value === "" ? null : Number(value)]));
      await api("PUT", `/users/${account.id}/quota`, limits);
      notice(`The limits of ${account.email} are set.`);
    });
    return false;
  }
  function remove(account) {
    const text = "Its environments are deleted with their volumes. This cannot be undone.";
    const fields = [{ name: "email", label: `Type ${account.email} to delete it`, type: "email" }];
    ask(here, { title: `Delete ${account.email}?`, text, fields, submit: "Delete" }, async ({ email }) => {
      if (email.trim() !== account.email) throw new Error("That is another address.");
      await api("DELETE", `/accounts/${account.id}`);
      await refresh();
    });
    return false;
  }
  function state(account) {
    if (account.disabled_at) return chip("disabled", "bad");
    return account.is_operator ? chip("operator", "good") : chip("account");
  }
  async function refresh() {
    const [self, accounts, registration] = await Promise.all([me(), all(api, "/accounts"), api("GET", "/auth/registration")]);
    const open = registration.mode === "closed" ? [] : (await api("GET", "/invitations")).items;
    if (signal.aborted) return;
    say(one("[data-mode]", root), `${modes[registration.mode] ?? ""} The setting VIBEBOX_REGISTRATION says which.`);
    say(one("[data-none]", list), "");
    drawTable(one("[data-rows]", list), accounts, (account) => [
      cell("", account.id === self.id ? `${account.email} (you)` : account.email), cell("State", state(account)),
      cell("Last seen", moment(account.last_authenticated_at)), cell("Since", day(account.created_at)),
      actions(
        button("Limits", account, setQuota),
        account.id !== self.id && button("Set password", account, setPassword),
        account.id !== self.id && (account.disabled_at
          ? button("Enable", account, () => api("POST", `/accounts/${account.id}/enable`))
          : button("Disable", account, disable)),
        account.id !== self.id && button("Delete", account, remove),
      ),
    ]);
    drawInvitations(open);
  }
  function drawInvitations(open) {
    say(one("[data-none]", invitations), open.length ? "" : "None is open.");
    drawTable(one("[data-rows]", invitations), open, (one) => [
      cell("", one.email ?? "anybody"), cell("Made", day(one.created_at)), cell("Good until", moment(one.expires_at)),
      actions(action("Take back", one.email ?? "the invitation", () => attempt(async () => {
        await api("DELETE", `/invitations/${one.id}`);
        await refresh();
      }, fail))),
    ]);
  }
  onSubmit(form, here, async ({ elements }) => {
    const email = elements.email.value.trim();
    const found = await api("POST", "/invitations", email ? { email } : {});
    say(one("[data-made-text]", made), `For ${email || "whoever has it"}. It works once, and is not shown again.`);
    say(one("[data-key]", made), `${location.origin}/sign-in#invitation=${found.token}`);
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
