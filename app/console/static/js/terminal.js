// A terminal of the environment: bytes both ways over a WebSocket, sizes as JSON.

import { api, openSocket } from "./access.js";
import { one, say } from "./dom.js";
import { allowTerminalStyles } from "./terminal-styles.js";

const PING_MILLISECONDS = 30_000;
let library = null;

/** Load the terminal's library when the first one is opened; most pages never need it. */
function load() {
  library ??= (async () => {
    allowTerminalStyles();
    const [{ Terminal }, { FitAddon }] = await Promise.all([
      import("../vendor/xterm.mjs"),
      import("../vendor/addon-fit.mjs"),
    ]);
    return { Terminal, FitAddon };
  })();
  return library;
}

function appearance(place) {
  const style = getComputedStyle(place);
  const mono = getComputedStyle(document.documentElement).getPropertyValue("--mono");
  return {
    fontFamily: mono, fontSize: 13, cursorBlink: true, screenReaderMode: false,
    theme: { background: style.backgroundColor, foreground: "#dfe3ea" },
  };
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

function connect(socket, terminal, ended) {
  const utf8 = new TextEncoder();
  const send = (data) => socket.readyState === WebSocket.OPEN && socket.send(data);
  const ping = setInterval(() => send('{"type": "ping"}'), PING_MILLISECONDS);
  terminal.onData((data) => send(utf8.encode(data)));
  terminal.onBinary((data) => send(Uint8Array.from(data, (one) => one.charCodeAt(0))));
  terminal.onResize(({ cols, rows }) => send(JSON.stringify({ type: "resize", cols, rows })));
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") terminal.write(new Uint8Array(data));
  };
  socket.onclose = ({ code, reason }) => {
    clearInterval(ping);
    ended(reason || (code === 1000 ? "The terminal is closed." : "The connection is lost."));
  };
}

class Screen {
  constructor(root, path) {
    this.path = path;
    this.place = one("[data-terminal=screen]", root);
    this.state = one("[data-terminal=state]", root);
    this.closer = one("[data-close-terminal]", root);
    this.closeCurrent = () => {};
  }

  async open(kind) {
    this.closeCurrent();
    say(this.state, "Opening …");
    const { Terminal, FitAddon } = await load();
    const session = await sessionOf(this.path, kind);
    this.place.hidden = false;
    const terminal = new Terminal(appearance(this.place));
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(this.place);
    fit.fit();
    const size = `cols=${terminal.cols}&rows=${terminal.rows}`;
    const socket = await openSocket(`/sessions/${session.id}/terminal?${size}`);
    const watch = new ResizeObserver(() => fit.fit());
    watch.observe(this.place);
    this.closer.hidden = false;
    const left = kind === "tmux" ? "It stays when you leave." : "It ends when you leave.";
    socket.onopen = () => {
      say(this.state, `Connected to ${session.name}. ${left} Shift+Tab leaves the terminal.`);
      fit.fit();
      terminal.focus();
    };
    this.closeCurrent = () => {
      this.closeCurrent = () => {};
      watch.disconnect();
      socket.onclose = null;
      socket.close();
      terminal.dispose();
      this.place.hidden = true;
      this.closer.hidden = true;
    };
    // Tab belongs to the shell; Shift+Tab is the way out for who has no mouse.
    terminal.attachCustomKeyEventHandler((event) => !(event.key === "Tab" && event.shiftKey));
    connect(socket, terminal, (why) => {
      watch.disconnect();
      terminal.options.disableStdin = true;
      terminal.options.cursorBlink = false;
      say(this.state, why);
    });
  }
}

export function mountTerminal({ root, signal, attempt }, path) {
  const screen = new Screen(root, path);
  const openers = root.querySelectorAll("[data-open]");
  const enable = (on) => openers.forEach((button) => (button.disabled = !on));
  enable(false);
  root.addEventListener("status", ({ detail }) => enable(detail === "running"));
  openers.forEach((button) => button.addEventListener("click", async () => {
    await attempt(() => screen.open(button.dataset.open), (error) => say(screen.state, error.message));
  }));
  screen.closer.addEventListener("click", () => {
    screen.closeCurrent();
    say(screen.state, "The terminal is closed.");
    one("[data-open]", root).focus();
  });
  signal.addEventListener("abort", () => screen.closeCurrent());
}
