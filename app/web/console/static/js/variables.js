// Rows of names and values: environment variables, and secrets, whose values are never shown.

import { make, one } from "./dom.js";

let made = 0;

function row(kind, name, value, removed) {
  const id = `variable-${(made += 1)}`;
  const secret = kind === "secrets";
  const known = name !== "";
  const nameInput = make("input", {
    id, value: name, "aria-label": secret ? "Name of a secret" : "Name of a variable", placeholder: "NAME", autocomplete: "off", spellcheck: "false",
    autocapitalize: "none", readonly: secret && known, maxlength: "128",
  });
  // Several lines are lines of the value: an input would lose them.
  const valueInput = make(secret ? "input" : "textarea", {
    "aria-label": `Value of ${name || (secret ? "a secret" : "a variable")}`, autocomplete: "off", spellcheck: "false",
    ...(secret ? { type: "password", placeholder: known ? "unchanged" : "value" } : { rows: "1" }),
  });
  valueInput.value = value;
  const remove = make("button", { type: "button", class: "small quiet", "aria-label": `Remove ${name || (secret ? "a secret" : "a variable")}` }, "Remove");
  const made_ = make("div", { class: "variable", dataset: { variable: name } }, nameInput, valueInput, remove);
  remove.addEventListener("click", () => {
    if (known) removed.add(name);
    const next = made_.nextElementSibling ?? made_.parentElement.nextElementSibling;
    made_.remove();
    (one("input", next) ?? next).focus();
  });
  return made_;
}

/** Rows in a form: `show` fills them, `read` gives what the API is told. */
export class Variables {
  constructor(form, kind) {
    this.kind = kind;
    this.place = one(`[data-variables=${kind}]`, form);
    this.rows = one("[data-variables-rows]", this.place);
    this.removed = new Set();
    one("[data-variables-add]", this.place).addEventListener("click", () => {
      const added = row(kind, "", "", this.removed);
      this.rows.append(added);
      one("input", added).focus();
    });
  }

  /** Show variables by name; of secrets the names. */
  show(found) {
    this.removed.clear();
    const entries = Array.isArray(found) ? found.map((name) => [name, ""]) : Object.entries(found);
    this.rows.replaceChildren(...entries.map(([name, value]) => row(this.kind, name, value, this.removed)));
  }

  /** Names and values; of secrets those that have a new value, and null for those that are removed. */
  read() {
    const found = {};
    if (this.kind === "secrets") for (const name of this.removed) found[name] = null;
    for (const each of this.rows.children) {
      const [name, value] = [one("input", each).value.trim(), each.children[1].value];
      const unchanged = this.kind === "secrets" && each.dataset.variable && !value;
      if ((name || value) && !unchanged) found[name] = value;
    }
    return found;
  }
}
