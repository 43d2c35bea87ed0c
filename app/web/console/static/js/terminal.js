// The terminal of an environment's page. A tmux session is come back to, whatever ends the connection;
// a shell ends with it, which is said. Nothing that is typed is dropped without a word.

import { SignedOut, api } from "./access.js";
import { one, pause, say } from "./dom.js";
import { CLOSED, Link, REFUSED, SIGNED_OUT } from "./terminal-link.js";
import { load, screenOf } from "./terminal-screen.js";

const LONGEST_PAUSE = 8;
// tmux is come back to at once. A shell is not given up before the service does that.
const PATIENCE_MILLISECONDS = 5_000;
const LONG_PATIENCE_MILLISECONDS = 40_000;
const SILENT = "VibeBox does not answer. What you type waits, and may be lost.";
const AWAY = "The connection is lost. Connecting again …";
// Of several workers some may have more WebSockets than they take: the next one may have room.
const TRIES = 4;
const HINT = "Open a tmux session, which stays when you leave, or a shell, which ends with its page.";
const UPGRADE_REQUIRED = 426;
const END_OF_PASTE = "\x1b[201~";

const amount = (bytes) => (bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`);

function explain(error) {
  if (error.status !== UPGRADE_REQUIRED) throw error;
  throw new Error("No connection comes about: too many terminals are open, or a proxy in between lets no WebSockets through. Try again in a few seconds.");
}

/** The last living tmux session of the environment, or a new session of the kind. */
async function sessionOf(path, kind) {
  if (kind === "tmux") {
    const { items } = await api("GET", `${path}/sessions?limit=100`);
    const living = items.find((one) => one.type === "tmux" && one.status !== "terminated");
    if (living) return living;
  }
  return api("POST", `${path}/sessions`, { type: kind });
}

/** One terminal, from its opening until it is closed or its session has ended. */
class Attachment {
  constructor(session, screen, view, attempt) {
    this.session = session;
    this.screen = screen;
    this.view = view;
    this.attempt = attempt;
    this.utf8 = new TextEncoder();
    this.closed = false;
    this.known = false;
    this.unsent = 0;
    this.bracketed = false;
    const patience = this.stays ? PATIENCE_MILLISECONDS : LONG_PATIENCE_MILLISECONDS;
    this.link = new Link(`/sessions/${session.id}/terminal`, patience, {
      open: () => this.opened(),
      data: (bytes, shown) => screen.write(bytes, shown),
      progress: (sent, total) => view.showPaste(sent, total),
      silent: (yes) => (yes ? view.veil(SILENT) : view.unveil()),
      closed: (code, reason) => this.lost(code, reason),
    });
    screen.onInput = (text) => this.type(this.utf8.encode(text));
    screen.onBytes = (bytes) => this.type(bytes);
    screen.onSize = (cols, rows) => this.link.tell({ type: "resize", cols, rows });
  }

  get stays() {
    return this.session.type === "tmux";
  }

  /** Connect for the first time. Throws what is in the way. */
  async connect() {
    for (let tries = 1; !(await this.reach()); tries += 1) {
      if (this.closed) return;
      // Why a WebSocket was refused is told to plain requests only.
      if (tries === TRIES) await api("GET", `/sessions/${this.session.id}/terminal`).catch(explain);
      await pause(1);
    }
  }

  reach() {
    const { cols, rows } = this.screen.size;
    return this.link.connect(cols, rows);
  }

  opened() {
    if (this.known) this.screen.reset(); // tmux draws everything again
    this.known = true;
    this.view.unveil();
    const left = this.stays ? "It stays when you leave." : "It ends when you leave.";
    this.view.say(`Connected to ${this.session.name}. ${left} Shift+Tab leaves the terminal.`);
    this.screen.fit();
    this.screen.focus();
  }

  type(bytes) {
    this.bracketed = this.screen.bracketsPastes;
    if (this.link.send(bytes)) return;
    this.unsent += 1;
    if (!this.closed) this.view.veil(`${AWAY} What you type is not sent.`, this.unsent);
  }

  /** Stop a paste that is under way; the program must not wait for its end. */
  stopPaste() {
    const dropped = this.link.drop();
    if (this.bracketed) this.link.send(this.utf8.encode(END_OF_PASTE));
    this.view.say(`The paste was stopped: its last ${amount(dropped)} are not sent.`);
    this.view.hidePaste();
  }

  async lost(code, reason) {
    const cut = this.link.pasted > 0;
    const dropped = this.link.drop();
    this.view.hidePaste();
    if (code === SIGNED_OUT) {
      await this.attempt(() => Promise.reject(new SignedOut()));
    } else if (code === CLOSED || code === REFUSED) {
      this.end(reason ? `${reason[0].toUpperCase()}${reason.slice(1)}.` : "The terminal is closed.");
    } else if (!this.stays) {
      this.end("The connection was lost, and the shell ended with it. Open a new one; a tmux session would have stayed.");
    } else {
      this.view.veil(cut ? `${AWAY} The paste was cut off: its last ${amount(dropped)} were not sent.` : AWAY);
      await this.comeBack();
      if (cut && this.link.open) {
        if (this.bracketed) this.link.send(this.utf8.encode(END_OF_PASTE));
        this.view.say("Connected again. The paste was cut off when the connection was lost: look how far it came.");
      }
    }
  }

  /** Connect again, as soon and as often as it takes, while the session lives. */
  async comeBack() {
    for (let wait = 0.3; !this.closed; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
      await this.view.worthATry(wait);
      if (this.closed) return;
      if (await this.attempt(() => this.retry(), () => {})) return;
    }
  }

  /** Return whether there is nothing left to try. Throws what may pass. */
  async retry() {
    const found = await api("GET", `/sessions/${this.session.id}`).catch((error) => {
      if (error.status === 404 || error.status === 403) return null;
      throw error;
    });
    if (this.closed) return true;
    if (!found || found.status === "terminated") {
      this.end("The session has ended meanwhile.");
      return true;
    }
    return this.reach();
  }

  end(why) {
    this.closed = true;
    this.screen.stop();
    this.view.ended(why, this.session.type);
  }

  close() {
    this.closed = true;
    this.link.close();
    this.screen.dispose();
  }
}

class View {
  constructor(root) {
    this.at = (name) => one(`[data-terminal=${name}]`, root);
    this.closer = one("[data-close-terminal]", root);
    this.wide = this.at("wide");
    this.wide.addEventListener("click", () => this.widen(!document.body.classList.contains("wide")));
  }

  say(text) {
    say(this.at("state"), text);
  }

  widen(on) {
    document.body.classList.toggle("wide", on);
    this.wide.setAttribute("aria-pressed", `${on}`);
  }

  show(on) {
    this.at("screen").hidden = !on;
    this.closer.hidden = !on;
    this.wide.hidden = !on;
    if (!on) this.widen(false);
  }

  /** Lay a notice over the screen; `shaken` counts keys that were pressed in vain. */
  veil(text, shaken = 0) {
    this.at("veil").hidden = false;
    say(this.at("lost"), text);
    this.at("veil").dataset.shaken = `${shaken % 2}`;
    this.say(text);
  }

  unveil() {
    this.at("veil").hidden = true;
    this.at("again").hidden = true;
  }

  showPaste(sent, total) {
    this.at("paste").hidden = sent >= total;
    this.at("progress").value = sent / total;
    say(this.at("pasted"), `Pasting: ${amount(sent)} of ${amount(total)}`);
  }

  hidePaste() {
    this.at("paste").hidden = true;
  }

  /** Say for good why it is over, and offer a new one of the kind. */
  ended(why, kind) {
    this.hidePaste();
    this.veil(why);
    this.say(why);
    this.at("again").hidden = false;
    this.at("again").dataset.open = kind;
    say(this.at("again"), kind === "tmux" ? "Open tmux" : "New shell");
  }

  /** Wait for so many seconds, or less where the network or the window comes back. */
  async worthATry(seconds) {
    const back = new Promise((resolve) => {
      addEventListener("online", resolve, { once: true });
      document.addEventListener("visibilitychange", resolve, { once: true });
    });
    await Promise.race([pause(seconds), back]);
  }
}

export function mountTerminal({ root, signal, attempt }, path) {
  const view = new View(root);
  const openers = [...root.querySelectorAll("[data-open]"), view.at("again")];
  let current = null;
  let shown = false;
  let asked = 0;

  function close() {
    current?.close();
    current = null;
    view.unveil();
    view.hidePaste();
    view.show(false);
  }
  async function open(kind) {
    const mine = (asked += 1);
    close();
    view.say("Opening …");
    await load();
    const session = await sessionOf(path, kind);
    // Somebody was quicker, or has left.
    if (mine !== asked || signal.aborted) return;
    view.show(true);
    const screen = screenOf(view.at("place"));
    current = new Attachment(session, screen, view, attempt);
    await current.connect();
  }
  function enable(environment) {
    const on = environment.status === "running";
    openers.forEach((button) => (button.disabled = !on));
    if (!on && !current) view.say("The environment does not run. Start it to open a terminal.");
    else if (!current) view.say(HINT);
  }
  root.addEventListener("environment", ({ detail }) => enable(detail));
  openers.forEach((button) => button.addEventListener("click", () =>
    attempt(() => open(button.dataset.open), (error) => {
      close();
      view.say(error.message);
    })));
  view.closer.addEventListener("click", () => {
    asked += 1;
    close();
    view.say("The terminal is closed.");
    openers[0].focus();
  });
  view.at("cancel").addEventListener("click", () => {
    current?.stopPaste();
    current?.screen.focus();
  });
  signal.addEventListener("abort", close);
  return {
    show(on) {
      if (on && !shown) requestAnimationFrame(() => current?.screen.fit());
      if (!on) view.widen(false);
      shown = on;
    },
  };
}
