// For operators: what is wrong with the installation, and the next step.

import { api } from "./access.js";
import { chip, make, one, say, showProblem } from "./dom.js";
import { cell, drawTable } from "./rows.js";

const tones = { ok: "good", warning: "warn", failed: "bad" };
const words = (text) => text.replaceAll("_", " ");
const verdicts = { ok: "Nothing is wrong.", warning: "Something may be wrong.", failed: "Something is wrong." };

/** Commands and settings stand between backticks. */
const told = (text) => text.split("`").map((part, number) => (number % 2 ? make("code", {}, part) : part));

function finding({ says, next_step }) {
  const next = next_step ? [make("p", {}, ...told(next_step))] : [];
  return cell("Found", make("div", { class: "told" }, make("p", {}, ...told(says)), ...next));
}

export function mountDoctor({ root, signal, attempt }) {
  const button = one("[data-examine]", root);
  const state = one("[data-state]", root);
  const fail = (error) => {
    say(state, "");
    showProblem(root, error);
  };

  async function examine() {
    button.disabled = true;
    say(state, "Examining …");
    const found = await attempt(() => api("GET", "/doctor"), fail);
    if (signal.aborted) return;
    button.disabled = false;
    if (!found) return;
    showProblem(root, null);
    say(state, `${verdicts[found.outcome]} VibeBox ${found.version}, at ${new Date(found.at).toLocaleTimeString()}.`);
    drawTable(one("[data-rows]", root), found.checks, (check) => [
      cell("", words(check.name)), finding(check), cell("State", chip(words(check.outcome), tones[check.outcome] ?? "")),
    ]);
    one("[data-checks]", root).hidden = false;
  }
  button.addEventListener("click", examine);
  examine();
}
