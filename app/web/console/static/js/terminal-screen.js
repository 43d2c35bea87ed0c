// The screen of a terminal: the library's, in our colours, as large as its place.

import { allowTerminalStyles } from "./terminal-styles.js";

const NARROW = 600;
// Each can be read on our background, and ours on each, as in the status line of tmux.
const COLOURS = {
  foreground: "#dfe3ea", cursor: "#dfe3ea", selectionBackground: "#35507f",
  black: "#14171d", red: "#ff8f87", green: "#62c77a", yellow: "#e2b84a", blue: "#82b4ff",
  magenta: "#d3a6ff", cyan: "#5ccfd8", white: "#dfe3ea",
  brightBlack: "#98a1b3", brightRed: "#ffb4a8", brightGreen: "#8fe0a3", brightYellow: "#f3d27d",
  brightBlue: "#adceff", brightMagenta: "#e5c8ff", brightCyan: "#90e6ec", brightWhite: "#ffffff",
};
let library = null;

/** Load the terminal's library when the first one is opened; most pages never need it. */
export function load() {
  library ??= (async () => {
    allowTerminalStyles();
    const [{ Terminal }, { FitAddon }] = await Promise.all([
      import("../vendor/xterm.mjs"),
      import("../vendor/addon-fit.mjs"),
    ]);
    return { Terminal, FitAddon };
  })();
  return library.then((found) => (made = found));
}
let made = null;

const fontSize = (place) => (place.clientWidth < NARROW ? 12 : 14);

function appearance(place) {
  const style = getComputedStyle(place.parentElement);
  const mono = getComputedStyle(document.documentElement).getPropertyValue("--mono");
  return {
    fontFamily: mono, fontSize: fontSize(place), cursorBlink: true, screenReaderMode: false, scrollback: 5000,
    theme: { ...COLOURS, background: style.backgroundColor },
  };
}

class Screen {
  constructor(place) {
    const { Terminal, FitAddon } = made;
    this.place = place;
    this.onInput = this.onBytes = this.onSize = () => {};
    this.terminal = new Terminal(appearance(place));
    this.fitting = new FitAddon();
    this.terminal.loadAddon(this.fitting);
    this.terminal.open(place);
    this.fit();
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(place);
    this.terminal.onData((text) => this.onInput(text));
    this.terminal.onBinary((text) => this.onBytes(Uint8Array.from(text, (each) => each.charCodeAt(0))));
    this.terminal.onResize(({ cols, rows }) => this.onSize(cols, rows));
    // Tab belongs to the shell; Shift+Tab is the way out for who has no mouse.
    this.terminal.attachCustomKeyEventHandler((event) => !(event.key === "Tab" && event.shiftKey));
  }

  get size() {
    return { cols: this.terminal.cols, rows: this.terminal.rows };
  }

  /** Whether the program asked to be told where a paste begins and ends. */
  get bracketsPastes() {
    return this.terminal.modes.bracketedPasteMode;
  }

  fit() {
    // A place that is not shown has no size.
    if (!this.place.clientWidth || !this.place.clientHeight) return;
    const size = fontSize(this.place);
    if (this.terminal.options.fontSize !== size) this.terminal.options.fontSize = size;
    this.fitting.fit();
  }

  write(bytes, shown) {
    this.terminal.write(bytes, shown);
  }

  focus() {
    this.terminal.focus();
  }

  /** Be as new, for a program that draws everything again. */
  reset() {
    this.terminal.reset();
  }

  /** Show what there is, and take nothing more. */
  stop() {
    this.terminal.options.disableStdin = true;
    this.terminal.options.cursorBlink = false;
  }

  dispose() {
    this.watch.disconnect();
    this.terminal.dispose();
  }
}

/** Put a screen into a place; `load` has to be done. */
export const screenOf = (place) => new Screen(place);
