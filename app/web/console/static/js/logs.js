// The log as it grows: over a WebSocket, and by asking again and again where none can be had. Nothing
// is asked for while nobody looks: in a window that is hidden, or beside another tab.

import { api, openSocket } from "./access.js";
import { make, one, pause, say } from "./dom.js";

const KEPT = 2000;
const LASTING_MILLISECONDS = 5000;
const LONGEST_PAUSE = 12;

class Lines {
  constructor(root) {
    this.place = one("[data-logs=lines]", root);
    this.follow = one("[data-logs=follow]", root);
    this.cursor = null;
    this.last = 0;
    this.waiting = [];
    this.follow.addEventListener("change", () => this.scroll());
  }

  /** Add a line, unless it is here already: polling and streaming may tell the same. */
  add({ id, at, stream, line }) {
    if (Number(id) <= this.last) return;
    this.last = Number(id);
    const time = make("time", { datetime: at }, new Date(at).toLocaleTimeString());
    this.waiting.push(make("div", { dataset: { stream } }, time, line));
    if (this.waiting.length === 1) requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.place.append(...this.waiting.splice(0));
    while (this.place.childElementCount > KEPT) this.place.firstElementChild.remove();
    this.scroll();
  }

  scroll() {
    if (this.follow.checked) this.place.scrollTop = this.place.scrollHeight;
  }
}

/** Whether anybody looks, and a way to wait until somebody does. */
class Looked {
  constructor() {
    this.shown = false;
    this.changed = () => {};
    this.leave = () => {};
    document.addEventListener("visibilitychange", () => this.tell());
  }

  get now() {
    return this.shown && !document.hidden;
  }

  show(on) {
    this.shown = on;
    this.tell();
  }

  tell() {
    if (this.now) this.changed();
    else this.leave();
  }

  async at() {
    while (!this.now) await new Promise((resolve) => (this.changed = resolve));
  }
}

/** Show what comes over one WebSocket; return whether it was worth opening. */
async function listen(path, lines, signal, state, looked) {
  const query = lines.cursor ? `?cursor=${encodeURIComponent(lines.cursor)}` : "";
  const socket = await openSocket(`${path}/logs/stream${query}`);
  const began = Date.now();
  let worked = false;
  const leave = () => socket.close();
  signal.addEventListener("abort", leave);
  looked.leave = leave;
  await new Promise((resolve) => {
    socket.onopen = () => say(state, "Live.");
    socket.onmessage = ({ data }) => {
      const line = JSON.parse(data);
      lines.cursor = line.cursor;
      lines.add(line);
      worked = true;
    };
    // One that closes at once, as behind a proxy that lets none through, is none.
    socket.onclose = () => resolve((worked ||= Date.now() - began > LASTING_MILLISECONDS || !looked.now));
    if (signal.aborted || !looked.now) leave();
  });
  signal.removeEventListener("abort", leave);
  looked.leave = () => {};
  return worked;
}

async function poll(path, lines) {
  const { items } = await api("GET", `${path}/logs?order=desc&limit=1000`);
  items.reverse().forEach((line) => lines.add(line));
}

async function follow({ root, signal, attempt }, path, looked) {
  const lines = new Lines(root);
  const state = one("[data-logs=state]", root);
  let wait = 1;
  while (!signal.aborted) {
    await looked.at();
    const worked = await attempt(() => listen(path, lines, signal, state, looked), () => {});
    if (signal.aborted) return;
    if (worked) {
      wait = 1;
      if (looked.now) say(state, "Connecting again …");
    } else {
      say(state, "No live stream to be had; looking every few seconds.");
      await attempt(() => poll(path, lines), (error) => say(state, error.message));
      wait = Math.min(wait * 2, LONGEST_PAUSE);
    }
    if (looked.now) await pause(wait);
  }
}

/** Return what is told whether the log is shown. */
export function mountLogs(here, path) {
  const looked = new Looked();
  follow(here, path, looked);
  return { show: (on) => looked.show(on) };
}
