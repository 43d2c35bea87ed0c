// The sign-in page.

import { register, signIn } from "./access.js";
import { one, showProblem } from "./dom.js";

/** Only a path of our own is gone to; anything else in the address leads home. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  return /^\/environments\/[\w-]+$/.test(next) ? next : "/";
}

/** The secret of an invitation; it stands in the fragment, which no server is sent. */
const invited = () => new URLSearchParams(location.hash.slice(1)).get("invitation");

export function mountSignIn({ root, go }) {
  const form = one("form", root);
  const invitation = invited();
  if (invitation) {
    form.querySelectorAll("[data-register]").forEach((part) => (part.hidden = false));
    form.querySelectorAll("[data-closed]").forEach((part) => (part.hidden = true));
    one("#password", form).autocomplete = "new-password";
  }
  one("#email", form).focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const email = form.email.value.trim();
    const password = form.password.value;
    const buttons = form.querySelectorAll("button");
    const enable = (on) => buttons.forEach((button) => (button.disabled = !on));
    enable(false);
    showProblem(form, null);
    try {
      if (event.submitter?.name === "register") await register(email, password, invitation);
      await signIn(email, password);
      await go(wanted());
    } catch (error) {
      showProblem(form, error);
      enable(true);
      one("#password", form).focus();
    }
  });
}
