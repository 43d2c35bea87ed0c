// Links that make one account each, for operators.

import { api } from "./access.js";
import { copy } from "./api-keys.js";
import { chip, notice, one, say, showProblem } from "./dom.js";
import { onSubmit } from "./forms.js";
import { action, actions, all, cell, drawTable } from "./rows.js";

const tones = { open: "good", expired: "", revoked: "", used: "" };

export function mountInvitations(here) {
  const { root, signal, attempt } = here;
  const fail = (error) => showProblem(root, error);
  const [place, made] = [one("[data-invitations]", root), one("[data-made]", root)];
  const form = one("[data-new-invitation]", place);

  async function revoke(invitation) {
    await api("DELETE", `/invitations/${invitation.id}`);
    await refresh();
  }
  async function refresh() {
    const items = await all(api, "/invitations");
    if (signal.aborted) return;
    say(one("[data-none]", place), items.length ? "" : "Nobody is invited.");
    drawTable(one("[data-rows]", place), items, (invitation) => [
      cell("", invitation.email ?? invitation.used_by ?? "whoever has the link"), cell("State", chip(invitation.state, tones[invitation.state])),
      cell("Good until", new Date(invitation.expires_at).toLocaleString()),
      actions(invitation.state === "open" && action("Revoke", invitation.email ?? "the invitation", () => attempt(() => revoke(invitation), fail))),
    ]);
  }
  onSubmit(form, here, async ({ elements }) => {
    const email = elements.email.value.trim();
    const found = await api("POST", "/invitations", email ? { email } : {});
    say(one("[data-made-text]", made), `For ${email || "whoever has it"}. It works once, and is not shown again.`);
    say(one("[data-key]", made), `${location.origin}${found.path}`);
    made.hidden = false;
    one("h2", made).focus();
    form.reset();
    await refresh();
  });
  one("[data-copy]", made).addEventListener("click", () => attempt(async () => {
    await copy(one("[data-key]", made));
    notice("Copied.");
  }));
  place.hidden = false;
  attempt(refresh, fail);
}
