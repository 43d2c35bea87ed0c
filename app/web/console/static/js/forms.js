// What is wrong with a form is told at the field that it concerns, and the rest below the form.

import { make, one } from "./dom.js";

/** An error of a field, in the shape of the API's. */
export class FieldError extends Error {
  constructor(field, message) {
    super(message);
    this.errors = [{ field, message }];
  }
}

function clear(form) {
  for (const place of form.querySelectorAll("[data-told]")) place.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    const others = (control.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => !id.endsWith("-told"));
    if (others.join("")) control.setAttribute("aria-describedby", others.join(" "));
    else control.removeAttribute("aria-describedby");
  }
}

/** Tell one error at its field; return the control, or null where the form has no such field. */
function tell(form, { field, message }) {
  const [head, name] = field.split(".");
  const place = one(`[data-field=${CSS.escape(head)}]`, form);
  if (!place) return null;
  for (let up = place.parentElement; up && up !== form; up = up.parentElement) {
    if (up.tagName === "DETAILS") up.open = true;
  }
  const row = [...place.querySelectorAll("[data-variable]")].find((each) => one("input", each)?.value === name);
  const control = one("input:not([type=hidden]), select, textarea, button", row ?? place);
  const id = `${control.id || head}-told`;
  if (!one(`#${CSS.escape(id)}`, place)) (row ?? place).append(make("p", { id, class: "problem", dataset: { told: "" } }, message));
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", `${control.getAttribute("aria-describedby") ?? ""} ${id}`.trim());
  return control;
}

/** Show what is wrong, null for nothing: at the fields, and what has none of its own below them. */
export function showProblems(form, error) {
  clear(form);
  const place = one(":scope > [data-problem]", form) ?? one("[data-problem]", form);
  const rest = [];
  let first = null;
  for (const each of error?.errors ?? []) {
    const control = tell(form, each);
    if (!control) rest.push(`${each.field}: ${each.message}`);
    first ??= control;
  }
  const text = error && !error.errors?.length ? error.message : rest.join(" ");
  place.hidden = !text;
  place.textContent = text;
  first?.focus();
}

/** Have a form do `work` when it is sent, once at a time. */
export function onSubmit(form, { attempt }, work) {
  const button = one("[type=submit]", form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    showProblems(form, null);
    await attempt(() => work(form), (error) => showProblems(form, error));
    button.disabled = false;
  });
}

/** A number of a field, or undefined where it is empty. */
export function number(input) {
  if (input.validity.badInput) throw new FieldError(input.name, "Enter a number.");
  return input.value === "" ? undefined : Number(input.value);
}

/** Ports as people write them: [HOST:]CONTAINER[/udp], several with commas or spaces. */
export function parsePorts(text) {
  return text.split(/[\s,]+/).filter(Boolean).map((port) => {
    const found = /^(?:(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp))?$/.exec(port);
    if (!found) throw new FieldError("ports", `Write a port as 8000, 18000:8000 or 5353/udp, and not ${port}.`);
    const [, host, container, protocol] = found;
    return { container_port: Number(container), host_port: host ? Number(host) : null, protocol: protocol ?? "tcp" };
  });
}

export const writePorts = (ports) => ports.map(({ container_port: inside, host_port: outside, protocol }) =>
  `${outside ? `${outside}:` : ""}${inside}${protocol === "udp" ? "/udp" : ""}`).join(", ");

/** Hours from now as the API writes moments; undefined for none. */
export const inHours = (hours) =>
  hours ? new Date(Date.now() + Number(hours) * 3600_000).toISOString() : undefined;
