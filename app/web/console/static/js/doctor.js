// For operators: what is wrong with the installation, and the next step.

import { api } from "./access.js";
import { chip, one, say, showProblem } from "./dom.js";
import { cell, drawTable } from "./rows.js";

const tones = { ok: "good", warning: "warn", failed: "bad" };
const words = (text) => text.replaceAll("_", " ");
const verdicts = { ok: "Nothing is wrong.", warning: "Something may be wrong.", failed: "Something is wrong." };

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
      cell("", words(check.name)), cell("State", chip(words(check.outcome), tones[check.outcome] ?? "")),
      cell("What is found", check.says), cell("Next step", check.next_step ?? ""),
    ]);
    one("[data-checks]", root).hidden = false;
  }
  button.addEventListener("click", examine);
  examine();
}
