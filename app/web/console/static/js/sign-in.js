// The sign-in page, which makes accounts too: of everybody, or of who is invited.

import { register, signIn } from "./access.js";
import { one } from "./dom.js";
import { showProblems } from "./forms.js";

/** Only a path of our own is gone to; anything else in the address leads home. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  return /^(\/[\w-]+)+$/.test(next) ? next : "/";
}

/** The secret of an invitation; it stands in the fragment, which no server is sent. */
const invited = () => new URLSearchParams(location.hash.slice(1)).get("invitation");

/** Have the page be for who has no account yet. */
function welcome(root, form) {
  one("h1", root).textContent = "Create your account";
  for (const part of root.querySelectorAll("[data-register], [data-invited]")) part.hidden = false;
  for (const part of root.querySelectorAll("[data-closed]")) part.hidden = true;
  form.elements.password.autocomplete = "new-password";
  const [signing, creating] = form.querySelectorAll("[type=submit]");
  creating.classList.add("primary");
  signing.classList.remove("primary");
  // What Enter does is what stands first.
  creating.after(signing);
}

export function mountSignIn({ root, go }) {
  const form = one("form", root);
  const invitation = invited();
  if (invitation) welcome(root, form);
  const { email, password } = form.elements;
  email.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = form.querySelectorAll("button");
    const enable = (on) => buttons.forEach((button) => (button.disabled = !on));
    enable(false);
    showProblems(form, null);
    try {
      if (event.submitter?.name === "register") await register(email.value.trim(), password.value, invitation);
      await signIn(email.value.trim(), password.value);
      await go(wanted());
    } catch (error) {
      enable(true);
      password.focus();
      showProblems(form, error);
    }
  });
}
