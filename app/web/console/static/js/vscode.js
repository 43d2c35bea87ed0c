// The VS Code server of the environment: where it is, and what its page asks for.

import { api } from "./access.js";
import { make, one, say } from "./dom.js";
import { fact } from "./header.js";

/** The session there is, or a new one. */
async function sessionOf(path) {
  const { items } = await api("GET", `${path}/sessions?limit=100`);
  const usable = items.find((one) => one.type === "vscode_server" && ["active", "idle"].includes(one.status));
  return usable ?? api("POST", `${path}/sessions`, { type: "vscode_server" });
}

export function mountVsCode({ root, attempt }, path) {
  const button = one("[data-vscode=open]", root);
  const state = one("[data-vscode=state]", root);
  const facts = one("[data-vscode=facts]", root);
  let running = false;
  let waiting = false;

  function draw() {
    button.disabled = !running || waiting;
    if (!running) facts.hidden = true;
  }
  root.addEventListener("environment", ({ detail }) => {
    running = detail.status === "running";
    draw();
  });
  button.addEventListener("click", async () => {
    waiting = true;
    draw();
    say(state, "Waiting for its answer …");
    await attempt(async () => {
      const session = await sessionOf(path);
      const { connection_url: address, password } = await api("GET", `/sessions/${session.id}/connection`);
      const link = make("a", { href: address, target: "_blank", rel: "noreferrer noopener" }, address);
      facts.replaceChildren(fact("Address", link), fact("Password", make("code", {}, password)));
      facts.hidden = false;
      say(state, "It runs. Its page asks for the password once.");
      link.focus();
    }, (error) => say(state, error.message));
    waiting = false;
    draw();
  });
  draw();
}
