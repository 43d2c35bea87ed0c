// Puts life into the page that the server rendered, and moves between pages without leaving the
// document: that keeps the access token in memory, and spares a renewal at each step.

import { SignedOut, ready, signOut } from "./access.js";
import { notice, one } from "./dom.js";
import { mountEnvironment } from "./environment.js";
import { mountEnvironments } from "./environments.js";
import { mountHealth } from "./health.js";
import { mountSignIn } from "./sign-in.js";

const views = {
  "sign-in": mountSignIn,
  environments: mountEnvironments,
  environment: mountEnvironment,
};
let leaving = new AbortController();

/** What a view may do: its place in the page, when to stop, where to go, whom to tell. */
function context() {
  return { root: one("#main"), signal: leaving.signal, go, attempt };
}

/** Run work of a view; who is not signed in any more goes to the sign-in page. */
async function attempt(work, onProblem = (error) => notice(error.message)) {
  const signal = leaving.signal;
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) return undefined;
    if (error instanceof SignedOut) await go(signInAddress());
    else onProblem(error);
    return undefined;
  }
}

function signInAddress() {
  const here = location.pathname;
  return here === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(here)}`;
}

async function mount() {
  leaving.abort();
  leaving = new AbortController();
  const here = context();
  const view = here.root.dataset.view;
  one("#sign-out").hidden = view === "sign-in";
  if (view !== "sign-in") {
    const signal = here.signal;
    await attempt(ready);
    if (signal.aborted) return;
    mountHealth(here);
  }
  views[view]?.(here);
}

async function show(address) {
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = one("#main", page);
  if (!main || !views[main.dataset.view]) {
    location.assign(address);
    return;
  }
  leaving.abort();
  one("#main").replaceWith(main);
  document.title = page.title;
  scrollTo(0, 0);
  // Who reads with a screen reader or the keyboard is told that the page is another one.
  one("#main").focus();
  await mount();
}

async function go(address) {
  history.pushState(null, "", address);
  await show(address).catch(() => location.assign(address));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  const plain = event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey;
  if (!link || plain || "plain" in link.dataset) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", () => show(location.href).catch(() => location.reload()));
one("#sign-out").addEventListener("click", () =>
  attempt(async () => {
    await signOut();
    await go("/sign-in");
  }),
);
mount();
