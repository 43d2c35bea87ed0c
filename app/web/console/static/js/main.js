// Puts life into the page that the server rendered, and moves between pages without leaving the
// document: that keeps the access token in memory, and spares a renewal at each step.

import { SignedOut, ready, signOut } from "./access.js";
import { mountAccount } from "./account.js";
import { mountAccounts } from "./accounts.js";
import { mountApiKeys } from "./api-keys.js";
import { mountBusiness } from "./business.js";
import { mountDoctor } from "./doctor.js";
import { notice, one } from "./dom.js";
import { mountEnvironment } from "./environment.js";
import { mountEnvironments } from "./environments.js";
import { showHeader, watchService } from "./header.js";
import { forgetMe } from "./me.js";
import { mountService } from "./service.js";
import { mountSignIn } from "./sign-in.js";
import { mountTeam } from "./team.js";
import { mountTeams } from "./teams.js";
import { newTrace, traceHeaders } from "./trace.js";

const views = {
  "sign-in": mountSignIn,
  environments: mountEnvironments,
  environment: mountEnvironment,
  teams: mountTeams,
  team: mountTeam,
  "api-keys": mountApiKeys,
  account: mountAccount,
  accounts: mountAccounts,
  business: mountBusiness,
  doctor: mountDoctor,
  service: mountService,
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
    if (error instanceof SignedOut) {
      forgetMe();
      await go(signInAddress());
    } else onProblem(error);
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
  document.body.classList.remove("wide");
  if (view !== "sign-in") {
    await attempt(ready);
    if (here.signal.aborted) return;
  }
  showHeader(view, view !== "sign-in", attempt);
  views[view]?.(here);
  // Sent before the script is there, a form would go to a page that takes none.
  for (const button of here.root.querySelectorAll("[data-when-mounted]")) button.disabled = false;
}

async function show(address) {
  const headers = { Accept: "text/html", ...traceHeaders(newTrace(false)) };
  const response = await fetch(address, { headers });
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
    forgetMe();
    await go("/sign-in");
  }),
);
dispatchEvent(new Event("vibebox-loaded"));
mount();
watchService();
