// The sign-in page.

import { register, signIn } from "./access.js";
import { one, showProblem } from "./dom.js";

/** Only a path of our own is gone to; anything else in the address leads home. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  return /^\/environments\/[\w-]+$/.test(next) ? next : "/";
}

export function mountSignIn({ root, go }) {
  const form = one("form", root);
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
      if (event.submitter?.name === "register") await register(email, password);
      await signIn(email, password);
      await go(wanted());
    } catch (error) {
      showProblem(form, error);
      enable(true);
      one("#password", form).focus();
    }
  });
}
