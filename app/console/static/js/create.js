// The form that makes an environment.

import { api } from "./access.js";
import { make, notice, one, showProblem } from "./dom.js";

/** What the form says; a field that is left empty is left out. */
function values(form) {
  const body = { name: form.elements.name.value.trim(), pull: form.pull.value };
  for (const field of ["template", "image"]) {
    const value = form[field].value.trim();
    if (value) body[field] = value;
  }
  for (const field of ["cpu_limit", "memory_limit_mb"]) {
    if (form[field].value) body[field] = Number(form[field].value);
  }
  const ports = form.ports.value.split(/[\s,]+/).filter(Boolean);
  if (ports.length) body.ports = ports.map((port) => ({ container_port: Number(port) }));
  return body;
}

async function fillTemplates(select, attempt) {
  const found = await attempt(() => api("GET", "/templates"));
  for (const { name, description } of found?.items ?? []) {
    select.append(make("option", { value: name }, description ? `${name}: ${description}` : name));
  }
}

export function mountCreate({ root, attempt, go }) {
  const dialog = one("#create", root);
  const form = one("form", dialog);
  const fail = (error) => showProblem(form, error);
  let filled = false;

  one("#new", root).addEventListener("click", () => {
    fail(null);
    dialog.showModal();
    one("#name", form).focus();
    if (!filled) fillTemplates(form.template, attempt);
    filled = true;
  });
  one("[data-close]", form).addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = one("[type=submit]", form);
    button.disabled = true;
    fail(null);
    await attempt(async () => {
      const made = await api("POST", "/environments", values(form));
      dialog.close();
      await go(`/environments/${made.id}`);
      // It exists; why it did not start is told on its own page.
      if (form.start.checked) await api("POST", `/environments/${made.id}/start`).catch((error) => notice(error.message));
    }, fail);
    button.disabled = false;
  });
}
