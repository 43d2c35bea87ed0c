// For operators: whose accounts there are, and what may be done about each.

import { api } from "./access.js";
import { ask, confirmed } from "./confirm.js";
import { chip, make, notice, one, say, showProblem } from "./dom.js";
import { FieldError } from "./forms.js";
import { mountInvitations } from "./invitations.js";
import { me } from "./me.js";
import { action, all, cell, drawTable } from "./rows.js";
import { day } from "./teams.js";

const PAUSE_MILLISECONDS = 250;
const modes = {
  open: "Registration is open: whoever reaches this VibeBox can make an account.",
  invited: "Accounts are made by invitation.",
  closed: "Registration is closed: accounts are made by vibebox accounts create, at the command line of the service.",
};
const moment = (text) => (text ? new Date(text).toLocaleString() : "never");

function state(account) {
  if (account.disabled_at) return chip("disabled", "bad");
  if (account.is_synthetic) return chip("synthetic");
  return account.is_operator ? chip("operator", "good") : chip("enabled");
}

/** What may be done about an account, each as a name and the work; `here` is the view's context. */
function choices(here, account, refresh) {
  const path = `/accounts/${account.id}`;
  const { email } = account;

  async function disable() {
    const text = "Its logins and API keys are refused, and what they have open is closed. Its environments stay.";
    if (!(await confirmed(`Disable ${email}?`, text, { yes: "Disable", no: "Leave it" }))) return;
    await api("POST", `${path}/disable`);
    await refresh();
  }
  async function enable() {
    await api("POST", `${path}/enable`);
    await refresh();
  }
  function setPassword() {
    const fields = [{ name: "password", label: "New password", type: "password", autocomplete: "new-password", help: "At least 12 characters. All logins of the account end." }];
    ask(here, { title: `A new password for ${email}`, fields, submit: "Set it" }, async (values) => {
      await api("PUT", `${path}/password`, values);
      notice(`The password of ${email} is set.`);
    });
  }
  function setLimits() {
    const help = "Empty: the default of the service.";
    const fields = [
      { name: "environments", label: "Environments", type: "number", min: "0", help },
      { name: "cpus", label: "CPUs of those that run", type: "number", min: "0", step: "0.1", help },
      { name: "memory_mb", label: "Memory of those that run, MiB", type: "number", min: "0", help },
      { name: "cpu_hours", label: "CPU hours in a month", type: "number", min: "0", step: "any", help },
      { name: "memory_gib_hours", label: "Memory in a month, GiB hours", type: "number", min: "0", step: "any", help },
    ];
    ask(here, { title: `Limits of ${email}`, fields, submit: "Set them" }, async (values) => {
      const limits = Object.entries(values).map(([name, value]) => [name, value === "" ? null : Number(value)]);
      await api("PUT", `/users/${account.id}/quota`, Object.fromEntries(limits));
      notice(`The limits of ${email} are set.`);
    });
  }
  function remove() {
    const lasting = "What it has, and the teams that it alone administers, go to another account, which is named here. This cannot be undone.";
    const text = account.is_synthetic ? "It is the synthetic user's: unless VIBEBOX_PROBE is off, its next round makes it again." : lasting;
    const fields = [
      { name: "transfer_to", label: "Hand over to", type: "email", help: "May stay empty where there is nothing to hand over." },
      { name: "email", label: `Type ${email} to delete it`, type: "email" },
    ];
    ask(here, { title: `Delete ${email}?`, text, fields, submit: "Delete" }, async (values) => {
      if (values.email.trim() !== email) throw new FieldError("email", "That is another address.");
      await api("DELETE", `${path}${await heir(values.transfer_to.trim())}`);
      notice(`${email} is deleted.`);
      await refresh();
    });
  }
  return { Limits: setLimits, "Set password": setPassword, ...(account.disabled_at ? { Enable: enable } : { Disable: disable }), Delete: remove };
}

/** The query that names who gets what an account leaves behind. */
async function heir(email) {
  if (!email) return "";
  const { items } = await api("GET", `/accounts?search=${encodeURIComponent(email)}`);
  const found = items.find((account) => account.email === email.toLowerCase());
  if (!found) throw new FieldError("transfer_to", "There is no account of this address.");
  return `?transfer_to=${found.id}`;
}

export function mountAccounts(here) {
  const { root, signal, attempt } = here;
  const fail = (error) => showProblem(root, error);
  const list = one("[data-accounts]", root);
  const search = one("[data-search]", list).elements.search;
  let waiting = null;
  let asked = 0;

  function menu(account, self) {
    const offered = Object.entries(choices(here, account, refresh)).filter(([name]) => name === "Limits" || account.id !== self.id);
    const buttons = offered.map(([name, work]) => action(name, account.email, () => {
      fail(null);
      attempt(work, fail);
    }));
    return cell("", make("div", { class: "row wrap" }, ...buttons));
  }
  async function refresh() {
    asked += 1;
    const mine = asked;
    const query = search.value.trim() ? `?search=${encodeURIComponent(search.value.trim())}` : "";
    const [self, accounts] = await Promise.all([me(), all(api, `/accounts${query}`)]);
    // An answer to what was asked before this one may come after it.
    if (signal.aborted || mine !== asked) return;
    say(one("[data-none]", list), accounts.length ? "" : "No account has that in its address.");
    drawTable(one("[data-rows]", list), accounts, (account) => [
      cell("", account.id === self.id ? `${account.email} (you)` : account.email), cell("State", state(account)),
      cell("Environments", `${account.environments}`), cell("Last seen", moment(account.last_authenticated_at)),
      cell("Since", day(account.created_at)), menu(account, self),
    ]);
  }
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => attempt(refresh, fail), PAUSE_MILLISECONDS);
  });
  one("[data-search]", list).addEventListener("submit", (event) => event.preventDefault());
  attempt(async () => {
    const { mode } = await api("GET", "/auth/registration");
    if (signal.aborted) return;
    say(one("[data-mode]", root), `${modes[mode] ?? ""} VIBEBOX_REGISTRATION is ${mode}.`);
    if (mode !== "closed") mountInvitations(here);
    await refresh();
  }, fail);
}
