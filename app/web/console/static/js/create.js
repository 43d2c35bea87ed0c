// The form that makes an environment.

import { api } from "./access.js";
import { make, notice, one } from "./dom.js";
import { inHours, number, onSubmit, parsePorts, showProblems } from "./forms.js";
import { me } from "./me.js";
import { Variables } from "./variables.js";

/** What the form says; a field that is left empty is left out. */
function values(form, env, secrets) {
  const named = form.elements;
  const body = {
    name: named.name.value.trim(),
    pull: named.pull.value,
    template: named.template.value || undefined,
    image: named.image.value.trim() || undefined,
    project_id: named.project_id.value || undefined,
    cpu_limit: number(named.cpu_limit),
    memory_limit_mb: number(named.memory_limit_mb),
    expires_at: inHours(named.expires_at.value),
  };
  const ports = parsePorts(named.ports.value);
  if (ports.length) body.ports = ports;
  if (Object.keys(env.read()).length) body.env = env.read();
  if (Object.keys(secrets.read()).length) body.secrets = secrets.read();
  return body;
}

async function fillTemplates(select, attempt) {
  const found = await attempt(() => api("GET", "/templates"));
  for (const { name, description } of found?.items ?? []) {
    select.append(make("option", { value: name }, description ? `${name}: ${description}` : name));
  }
}

/** `projects` are those that the caller sees. */
export async function mountCreate(here, projects) {
  const { root, signal, attempt, go } = here;
  const account = await attempt(me);
  const usable = projects.filter((project) => project.may.includes("environment.create"));
  // Whoever has none yet gets one of their own with the first environment.
  if (signal.aborted || !(account?.may.includes("environment.create") || usable.length)) return;
  const dialog = one("#create", root);
  const form = one("form", dialog);
  const [env, secrets] = [new Variables(form, "env"), new Variables(form, "secrets")];
  const personal = usable.find((project) => project.name === "personal" && project.owner_user_id === account.id);
  const others = usable.filter((project) => project !== personal);
  form.elements.project_id.append(make("option", { value: "" }, "personal"),
    ...others.map((project) => make("option", { value: project.id }, project.name)));
  one("[data-projects]", form).hidden = !others.length;
  let filled = false;

  one("#new", root).hidden = false;
  one("#new", root).addEventListener("click", () => {
    showProblems(form, null);
    dialog.showModal();
    form.elements.name.focus();
    if (!filled) fillTemplates(form.elements.template, attempt);
    filled = true;
  });
  one("[data-close]", form).addEventListener("click", () => dialog.close());
  onSubmit(form, here, async () => {
    const made = await api("POST", "/environments", values(form, env, secrets));
    dialog.close();
    await go(`/environments/${made.id}`);
    // It exists; why it did not start is told on its own page.
    if (form.elements.start.checked) await api("POST", `/environments/${made.id}/start`).catch((error) => notice(error.message));
  });
}
