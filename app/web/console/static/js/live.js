// What changes is told by a WebSocket where one is to be had, and asked for again and again where not.

import { openSocket } from "./access.js";
import { pause, repeat } from "./dom.js";

const SOON_MILLISECONDS = 50;
const LONGEST_PAUSE = 30;
// Even with news some things change that no stream tells, as a name.
const NOW_AND_THEN_MILLISECONDS = 30000;

const seen = () => new Promise((resolve) => {
  if (!document.hidden) resolve();
  else document.addEventListener("visibilitychange", () => resolve(seen()), { once: true });
});

/** Hear one WebSocket to its end; return whether anything came. */
async function listen(path, signal, hear) {
  const socket = await openSocket(path);
  let worked = false;
  const leave = () => socket.close();
  // A page that nobody sees takes no place from those that are seen.
  const hide = () => document.hidden && leave();
  signal.addEventListener("abort", leave);
  document.addEventListener("visibilitychange", hide);
  await new Promise((resolve) => {
    socket.onopen = () => hear(true);
    socket.onmessage = () => hear((worked = true));
    socket.onclose = resolve;
    if (signal.aborted) leave();
  });
  signal.removeEventListener("abort", leave);
  document.removeEventListener("visibilitychange", hide);
  return worked;
}

/**
 * Call `refresh` whenever the stream at `path` has news; every few `seconds` where there is no
 * stream, or as long as `busy` tells that there is more to see than it has news of.
 */
export function keepFresh({ root, signal, attempt }, path, seconds, refresh, busy) {
  let due = 0;
  let soon = null;
  let live = false;
  const work = async () => {
    due = Date.now() + NOW_AND_THEN_MILLISECONDS;
    await refresh();
  };
  const hear = (on) => {
    live = on;
    root.dataset.live = on ? "yes" : "no";
    // Many messages that come together, as at the beginning, are one piece of news.
    soon ??= setTimeout(() => {
      soon = null;
      if (!signal.aborted) work();
    }, SOON_MILLISECONDS);
  };
  const follow = async () => {
    for (let wait = 1; !signal.aborted; await pause(wait)) {
      await seen();
      const worked = await attempt(() => listen(path, signal, hear), () => {});
      if (signal.aborted) return;
      wait = worked ? 1 : Math.min(wait * 2, LONGEST_PAUSE);
      hear(false);
    }
  };
  follow();
  repeat(signal, seconds, () => (live && !busy() && Date.now() < due ? null : work()));
}
