// Tabs (ARIA Authoring Practices): arrows move, and each has an address of its own.

import { one } from "./dom.js";

/** Make a tab list work; `chosen` hears the name of each that is opened. Return what opens one. */
export function mountTabs(list, name, chosen) {
  const tabs = () => [...list.querySelectorAll("[role=tab]")].filter((tab) => !tab.hidden);
  const nameOf = (tab) => tab.getAttribute("aria-controls");

  function open(wanted) {
    const tab = tabs().find((each) => nameOf(each) === wanted) ?? tabs()[0];
    for (const each of list.querySelectorAll("[role=tab]")) {
      const on = each === tab;
      each.setAttribute("aria-selected", `${on}`);
      each.tabIndex = on ? 0 : -1;
      one(`#${nameOf(each)}`).hidden = !on;
    }
    chosen(nameOf(tab));
  }
  list.addEventListener("click", ({ target }) => {
    const tab = target.closest("[role=tab]");
    if (tab) open(nameOf(tab));
  });
  list.addEventListener("keydown", (event) => {
    const all = tabs();
    const here = all.indexOf(document.activeElement);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    const tab = all[(to + all.length) % all.length];
    open(nameOf(tab));
    tab.focus();
  });
  open(name);
  return open;
}
