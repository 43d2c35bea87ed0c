// Questions: whether somebody is sure, and forms of a few fields.

import { make, one } from "./dom.js";
import { onSubmit, showProblems } from "./forms.js";

/** Ask whether to do what cannot be undone; the safe answer has the focus. */
export function confirmed(title, text, { yes = "Delete", no = "Keep it" } = {}) {
  const dialog = one("#confirm");
  one("h2", dialog).textContent = title;
  one("[data-confirm=text]", dialog).textContent = text;
  one("[data-confirm=yes]", dialog).textContent = yes;
  one("[data-confirm=no]", dialog).textContent = no;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function control({ name, label, help, ...attributes }) {
  const id = `ask-${name}`;
  const input = make("input", { id, name, autocomplete: "off", ...attributes, ...(help ? { "aria-describedby": `${id}-help` } : {}) });
  return make("div", { class: "field", dataset: { field: name } }, make("label", { for: id }, label), input,
    ...(help ? [make("p", { id: `${id}-help`, class: "dim" }, help)] : []));
}

/** Ask for values and do `work` with them; what it refuses is told at its field. */
export function ask(context, { title, text = "", fields, submit = "Save" }, work) {
  const dialog = one("#ask");
  // Anew, so that what was asked before is not heard again.
  const form = one("form", dialog).cloneNode(true);
  one("form", dialog).replaceWith(form);
  one("h2", form).textContent = title;
  const explained = one("[data-ask=text]", form);
  explained.hidden = !text;
  explained.textContent = text;
  one("[data-ask=submit]", form).textContent = submit;
  one("[data-ask=fields]", form).replaceChildren(...fields.map(control));
  one("[data-close]", form).addEventListener("click", () => dialog.close());
  onSubmit(form, context, async () => {
    await work(Object.fromEntries(fields.map(({ name }) => [name, form.elements[name].value])));
    dialog.close();
  });
  showProblems(form, null);
  dialog.showModal();
  one("input", form)?.focus();
}
