// How a status looks, and what can be done in it by whom.

import { api } from "./access.js";
import { confirmed } from "./confirm.js";
import { chip, make, notice, one } from "./dom.js";

const tones = { running: "good", starting: "warn", stopping: "warn", paused: "warn", error: "bad" };
const labels = {
  start: "Start", stop: "Stop", restart: "Restart", pause: "Pause", unpause: "Unpause", delete: "Delete",
};
const possible = {
  stopped: ["start", "delete"],
  error: ["start", "delete"],
  running: ["stop", "restart", "pause", "delete"],
  paused: ["unpause", "stop", "delete"],
  starting: ["stop"],
  stopping: [],
};
const needs = (action) => (action === "delete" ? "environment.delete" : "environment.operate");
// What is done every day stands in front; the rest is behind a button.
const FRONT = 1;

export const statusChip = (status) => chip(status, tones[status] ?? "");

/** How far a start is, or why something went wrong; empty where there is nothing to say. */
export function remark(environment) {
  const pull = environment.pull_progress;
  if (environment.status === "starting" && pull) return `pulling the image, ${Math.round(pull.percent)} %`;
  return environment.error ?? "";
}

/** Ask, then delete; return whether it was done. */
export async function remove(environment) {
  const text = "Its container and all that is in its volume are deleted with it. This cannot be undone.";
  if (!(await confirmed(`Delete ${environment.name}?`, text))) return false;
  await api("DELETE", `/environments/${environment.id}`);
  notice(`${environment.name} is deleted.`);
  return true;
}

async function act(environment, action) {
  if (action !== "delete") return api("POST", `/environments/${environment.id}/${action}`);
  return (await remove(environment)) ? null : environment;
}

function button(environment, action, { attempt, fail, done }) {
  const made = make("button", { type: "button", "aria-label": `${labels[action]} ${environment.name}` }, labels[action]);
  made.addEventListener("click", async () => {
    const place = made.closest("[data-actions]");
    const buttons = place?.querySelectorAll("button") ?? [];
    buttons.forEach((each) => (each.disabled = true));
    fail(null);
    await attempt(async () => done(await act(environment, action)), fail);
    buttons.forEach((each) => (each.disabled = false));
  });
  return made;
}

/**
 * Buttons for what the status allows, of what whoever asks may do. `done` gets the environment anew,
 * or null once it is deleted. All but the first stand in a menu where `compact`.
 */
export function actionButtons(environment, tools, compact = false) {
  const actions = (possible[environment.status] ?? []).filter((action) => environment.may.includes(needs(action)));
  const shown = compact ? actions : actions.filter((action) => action !== "delete");
  const buttons = shown.map((action) => button(environment, action, tools));
  const rest = compact ? buttons.splice(FRONT) : [];
  if (!rest.length) return buttons;
  const menu = make("details", { class: "menu" },
    make("summary", { "aria-label": `More for ${environment.name}` }, "More"), make("div", {}, ...rest));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    one("summary", menu).focus();
  });
  menu.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
  });
  return [...buttons, menu];
}

/** Put buttons into a place, and the focus back to where it was lost. */
export function replaceButtons(place, buttons) {
  place.dataset.actions = "";
  const had = place.contains(document.activeElement);
  place.replaceChildren(...buttons);
  if (had) (buttons[0] ?? one("#main")).focus();
}
