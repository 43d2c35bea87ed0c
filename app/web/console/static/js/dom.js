// Small helpers. Text only ever goes into the page as text, never as HTML.

export const one = (selector, root = document) => root.querySelector(selector);

/** Make an element: properties that are no attributes (onclick, dataset) are assigned. */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "dataset") Object.assign(made.dataset, value);
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export function chip(text, tone = "") {
  return make("span", { class: "chip", dataset: { tone } }, text);
}

/** Set the text of an element where it differs, so that a live region is not read out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function showProblem(root, error) {
  const place = one("[data-problem]", root);
  place.hidden = !error;
  place.textContent = error ? error.message : "";
}

export function notice(text) {
  const shown = make("p", {}, text);
  one("#notices").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Call `work` now and every few seconds, one at a time, until the signal aborts. */
export async function repeat(signal, seconds, work) {
  while (!signal.aborted) {
    // A page that nobody sees asks nothing.
    if (!document.hidden) await work();
    await pause(seconds);
  }
}
