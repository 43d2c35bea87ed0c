// The connection of a terminal: what is typed goes out in order and none of it is lost unseen, as
// fast as the command takes it; what comes in is asked for as fast as it is shown.

import { openSocket } from "./access.js";

// How often a connection that says nothing is asked for a sign of life.
const PING_MILLISECONDS = 20_000;
// Whoever types is told so soon that nothing comes back, and asks after so long a silence.
const DOUBT_MILLISECONDS = 1_500;
const FRESH_MILLISECONDS = 2_000;
const PIECE = 16 * 1024;
// As much as the service holds for a command that does not read (app/web/streams/terminal.py).
const WINDOW = 256 * 1024;
const SHOWN_AFTER = 128 * 1024;
/** More than anybody types at once. */
export const PASTE = 4 * 1024;

/** Codes with which the service closes for good: the login is over, or what it was about is. */
export const CLOSED = 1000;
export const REFUSED = 1008;
export const SIGNED_OUT = 4401;

export class Link {
  /**
   * `on` hears: open(), data(bytes, shown), progress(sent, total), silent(yes), closed(code, reason).
   * A connection that gives no sign of life for `patience` milliseconds is given up.
   */
  constructor(path, patience, on) {
    this.path = path;
    this.patience = patience;
    this.on = on;
    this.heardAt = 0;
    this.doubt = null;
    this.isOffline = () => this.probe();
    this.socket = null;
    this.queue = [];
    this.queued = 0;
    this.pasted = 0;
    this.ahead = 0;
    this.unshown = 0;
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Connect, and return whether that worked. Throws what a ticket is refused for. */
  async connect(cols, rows) {
    const socket = await openSocket(`${this.path}?cols=${cols}&rows=${rows}&acknowledge=true`);
    this.socket = socket;
    return new Promise((resolve) => {
      socket.onclose = () => resolve(false);
      socket.onopen = () => {
        const ping = setInterval(() => this.probe(), PING_MILLISECONDS);
        addEventListener("offline", this.isOffline);
        socket.onclose = ({ code, reason }) => {
          clearInterval(ping);
          if (this.socket === socket) this.lost(code, reason);
        };
        this.heard();
        this.ahead = 0;
        this.unshown = 0;
        this.tell({ type: "shown", bytes: 0 });
        this.on.open();
        resolve(true);
      };
      socket.onmessage = ({ data }) => this.hear(data);
    });
  }

  heard() {
    this.heardAt = Date.now();
    if (!this.doubt) return;
    this.doubt.forEach(clearTimeout);
    this.doubt = null;
    this.on.silent(false);
  }

  /** Ask for a sign of life, and give the connection up where none comes. */
  probe() {
    if (!this.open || this.doubt) return;
    this.tell({ type: "ping" });
    this.doubt = [
      setTimeout(() => this.on.silent(true), DOUBT_MILLISECONDS),
      setTimeout(() => {
        const { socket } = this;
        this.lost(1006, "");
        socket.close();
      }, this.patience),
    ];
  }

  hear(data) {
    this.heard();
    if (typeof data === "string") {
      const { type, bytes } = JSON.parse(data);
      if (type !== "taken") return;
      this.ahead -= bytes;
      this.flush();
      return;
    }
    const bytes = new Uint8Array(data);
    this.on.data(bytes, () => this.shown(bytes.length));
  }

  /** Tell that so much was shown, so that more is sent. */
  shown(bytes) {
    this.unshown += bytes;
    if (this.unshown < SHOWN_AFTER) return;
    this.tell({ type: "shown", bytes: this.unshown });
    this.unshown = 0;
  }

  tell(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }

  /** Send bytes after those before; return whether they go out. */
  send(bytes) {
    if (!this.open) return false;
    if (Date.now() - this.heardAt > FRESH_MILLISECONDS) this.probe();
    if (bytes.length > PASTE || this.pasted) this.pasted += bytes.length;
    for (let start = 0; start < bytes.length; start += PIECE) this.queue.push(bytes.subarray(start, start + PIECE));
    this.queued += bytes.length;
    this.flush();
    return true;
  }

  flush() {
    while (this.open && this.queue.length && this.ahead + this.queue[0].length <= WINDOW) {
      const piece = this.queue.shift();
      this.socket.send(piece);
      this.ahead += piece.length;
      this.queued -= piece.length;
    }
    if (this.pasted) this.on.progress(this.pasted - this.queued, this.pasted);
    if (!this.queued) this.pasted = 0;
  }

  /** Forget what has not gone out yet; return how many bytes that is. */
  drop() {
    const dropped = this.queued;
    this.queue = [];
    this.queued = 0;
    this.pasted = 0;
    return dropped;
  }

  lost(code, reason) {
    this.forget();
    this.on.closed(code, reason);
  }

  forget() {
    this.socket = null;
    this.doubt?.forEach(clearTimeout);
    this.doubt = null;
    removeEventListener("offline", this.isOffline);
  }

  /** Leave, without being told that it is over. */
  close() {
    const { socket } = this;
    this.forget();
    this.drop();
    socket?.close();
  }
}
