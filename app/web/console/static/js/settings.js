// Changing an environment: only what was changed is sent, so that nobody undoes another's change.

import { api } from "./access.js";
import { one, say } from "./dom.js";
import { FieldError, number, onSubmit, parsePorts, showProblems, writePorts } from "./forms.js";
import { remove } from "./statuses.js";
import { Variables } from "./variables.js";

/** A moment as an input of the local zone takes it, and back. */
function toLocal(text) {
  if (!text) return "";
  const moment = new Date(text);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
const fromLocal = (text) => (text ? new Date(text).toISOString() : null);

function required(input) {
  const found = number(input);
  if (found === undefined) throw new FieldError(input.name, "Fill this in.");
  return found;
}

export function mountSettings({ root, attempt }, path, { done, gone }) {
  const form = one("[data-settings=form]", root);
  const at = (name) => one(`[data-settings=${name}]`, root);
  const [env, secrets] = [new Variables(form, "env"), new Variables(form, "secrets")];
  let environment = null;
  let changed = false;

  /** The fields of the API as the form has them. */
  function read() {
    const named = form.elements;
    return {
      name: named.name.value.trim(),
      image: named.image.value.trim(),
      pull: named.pull.value,
      cpu_limit: required(named.cpu_limit),
      memory_limit_mb: required(named.memory_limit_mb),
      ports: parsePorts(named.ports.value),
      volume_path: named.volume_path.value.trim() || null,
      env: env.read(),
      expires_at: named.expires_at.value === toLocal(environment.expires_at)
        ? environment.expires_at : fromLocal(named.expires_at.value),
    };
  }
  function fill() {
    const named = form.elements;
    named.name.value = environment.name;
    named.image.value = environment.image;
    named.pull.value = environment.pull;
    named.cpu_limit.value = environment.cpu_limit;
    named.memory_limit_mb.value = environment.memory_limit_mb;
    named.ports.value = writePorts(environment.ports);
    named.volume_path.value = environment.volume_path ?? "";
    named.expires_at.value = toLocal(environment.expires_at);
    env.show(environment.env);
    secrets.show(environment.secret_names);
    changed = false;
  }
  function differences() {
    const now = read();
    const found = Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(environment[name]));
    const hidden = secrets.read();
    if (Object.keys(hidden).length) found.push(["secrets", hidden]);
    return Object.fromEntries(found);
  }
  function draw(detail) {
    environment = detail;
    const may = detail.may.includes("environment.change");
    const stopped = ["stopped", "error"].includes(detail.status);
    form.hidden = !may;
    at("stopped").disabled = !stopped;
    at("running").hidden = stopped;
    at("delete").disabled = ["starting", "stopping"].includes(detail.status);
    // What somebody is typing stays.
    if (!changed) fill();
  }
  root.addEventListener("environment", ({ detail }) => draw(detail));
  for (const event of ["input", "click"]) {
    form.addEventListener(event, ({ target }) => {
      changed ||= event === "input" || Boolean(target.closest("[data-variables] button"));
      say(at("saved"), "");
    });
  }
  onSubmit(form, { attempt }, async () => {
    const body = differences();
    if (!Object.keys(body).length) {
      say(at("saved"), "Nothing was changed.");
      return;
    }
    const after = await api("PATCH", path, body);
    changed = false;
    await done(after);
    fill();
    say(at("saved"), "Saved.");
  });
  at("delete").addEventListener("click", () => {
    attempt(async () => {
      if (await remove(environment)) await gone();
    }, (error) => showProblems(form, error));
  });
}
