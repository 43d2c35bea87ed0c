// How a status looks, and what can be done in it.

import { api } from "./access.js";
import { chip, make, notice, one } from "./dom.js";

const tones = { running: "good", starting: "warn", stopping: "warn", paused: "warn", error: "bad" };
const labels = {
  start: "Start", stop: "Stop", restart: "Restart", pause: "Pause", unpause: "Unpause", delete: "Delete",
};
const allowed = {
  stopped: ["start", "delete"],
  error: ["start", "delete"],
  running: ["stop", "restart", "pause", "delete"],
  paused: ["unpause", "stop", "delete"],
  starting: ["stop"],
  stopping: [],
};

export const statusChip = (status) => chip(status, tones[status] ?? "");

/** How far a start is, or why something went wrong; empty where there is nothing to say. */
export function remark(environment) {
  const pull = environment.pull_progress;
  if (environment.status === "starting" && pull) return `pulling, ${Math.round(pull.percent)} %`;
  return environment.error ?? "";
}

function confirmed(name) {
  const dialog = one("#confirm");
  one("h2", dialog).textContent = `Delete ${name}?`;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function act(environment, action) {
  const path = `/environments/${environment.id}`;
  if (action !== "delete") return api("POST", `${path}/${action}`);
  await api("DELETE", path);
  notice(`${environment.name} is deleted.`);
  return null;
}

/** Buttons for what the status allows; `done` gets the environment anew, or null once deleted. */
export function actionButtons(environment, { attempt, fail, done }) {
  return (allowed[environment.status] ?? []).map((action) => {
    const button = make("button", { type: "button", "aria-label": `${labels[action]} ${environment.name}` }, labels[action]);
    if (action === "delete") button.className = "danger";
    button.addEventListener("click", async () => {
      if (action === "delete" && !(await confirmed(environment.name))) return;
      const buttons = button.parentElement?.querySelectorAll("button") ?? [];
      buttons.forEach((one) => (one.disabled = true));
      fail(null);
      await attempt(async () => done(await act(environment, action)), fail);
      buttons.forEach((one) => (one.disabled = false));
    });
    return button;
  });
}

/** Put buttons into a place, and the focus back to where it was lost. */
export function replaceButtons(place, buttons) {
  const had = place.contains(document.activeElement);
  place.replaceChildren(...buttons);
  if (had) (buttons[0] ?? one("#main")).focus();
}
