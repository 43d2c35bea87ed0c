// Rows of a table that stay in place while what they show changes: focus and selections survive.

import { make } from "./dom.js";

export const cell = (label, ...children) =>
  make("td", { role: "cell", ...(label ? { "data-label": label } : {}) }, ...children);

/** Draw `items` into `body`; `make` builds the parts of a new row, `fill` brings them up to date. */
export class Rows {
  constructor(body, { build, fill, key = (item) => item.id }) {
    this.body = body;
    this.build = build;
    this.fill = fill;
    this.key = key;
    this.known = new Map();
  }

  draw(items) {
    const kept = new Set(items.map(this.key));
    for (const [id, parts] of this.known) {
      if (kept.has(id)) continue;
      const had = parts.row.contains(document.activeElement);
      const next = parts.row.nextElementSibling ?? parts.row.previousElementSibling;
      parts.row.remove();
      this.known.delete(id);
      if (had) (next?.querySelector("a, button") ?? document.querySelector("#main")).focus();
    }
    items.forEach((item, place) => {
      const id = this.key(item);
      if (!this.known.has(id)) this.known.set(id, this.build(item));
      const parts = this.known.get(id);
      this.fill(parts, item);
      if (this.body.children[place] !== parts.row) this.body.insertBefore(parts.row, this.body.children[place] ?? null);
    });
  }
}

/** A table of rows that are made anew at each change, for pages that change by the user's hand only. */
export function drawTable(body, items, cells) {
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  const had = body.contains(document.activeElement);
  body.replaceChildren(...items.map((item) => make("tr", { role: "row" }, ...cells(item))));
  if (!had) return;
  const again = [...body.querySelectorAll("button, select, a")].find((each) => each.getAttribute("aria-label") === focused);
  (again ?? body.querySelector("a, button") ?? document.querySelector("#main")).focus();
}

export const action = (label, name, work, extra = {}) =>
  make("button", { type: "button", class: "small", "aria-label": `${label} ${name}`, onclick: work, ...extra }, label);

export const actions = (...buttons) => cell("", make("div", { class: "row" }, ...buttons.filter(Boolean)));

/** All items of a list of the API, page by page. */
export async function all(api, path) {
  const items = [];
  for (;;) {
    const glue = path.includes("?") ? "&" : "?";
    const page = await api("GET", `${path}${glue}limit=100&offset=${items.length}`);
    items.push(...page.items);
    if (!page.items.length || items.length >= page.total) return items;
  }
}
