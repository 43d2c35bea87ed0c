// Bars over time. What they show is in a table beside, for whoever does not see them.

import { make } from "./dom.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [600, 90];

function draw(name, attributes, ...children) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/**
 * Draw one bar for each of `points` ({ name, value, goesOn }), at the right of `room` for so many; `show` words a value.
 * A value of null is not known: it has its place and no bar. What goes on is drawn lighter.
 */
export function drawBars(figure, title, points, show, room = points.length) {
  const known = points.filter(({ value }) => value !== null);
  const most = Math.max(0, ...known.map(({ value }) => value));
  const places = Math.max(1, room, points.length);
  const [step, free] = [WIDTH / places, places - points.length];
  const bars = points.flatMap(({ name, value, goesOn }, place) => {
    if (value === null) return [];
    const height = most ? (value / most) * HEIGHT : 0;
    const at = { x: ((free + place) * step).toFixed(2), y: (HEIGHT - height).toFixed(2) };
    const size = { width: Math.max(0.5, step * 0.85).toFixed(2), height: height.toFixed(2), ...(goesOn ? { class: "goes-on" } : {}) };
    return draw("rect", { ...at, ...size }, draw("title", {}, `${name}: ${show(value)}`));
  });
  const told = known.length
    ? `From ${known[0].name} to ${known.at(-1).name}, at most ${show(most)}` : "Nothing yet";
  figure.replaceChildren(
    make("figcaption", {}, title, make("span", { class: "dim" }, ` ${told}.`)),
    draw("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}. ${told}.`,
    }, ...bars),
  );
}
