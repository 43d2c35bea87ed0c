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

/** Draw one bar for each of `points` ({ name, value }), at the right of `room` for so many; `show` words a value. */
export function drawBars(figure, title, points, show, room = points.length) {
  const most = Math.max(0, ...points.map(({ value }) => value));
  const places = Math.max(1, room, points.length);
  const [step, free] = [WIDTH / places, places - points.length];
  const bars = points.map(({ name, value }, place) => {
    const height = most ? (value / most) * HEIGHT : 0;
    const at = { x: ((free + place) * step).toFixed(2), y: (HEIGHT - height).toFixed(2) };
    const size = { width: Math.max(0.5, step * 0.85).toFixed(2), height: height.toFixed(2) };
    return draw("rect", { ...at, ...size }, draw("title", {}, `${name}: ${show(value)}`));
  });
  const told = points.length
    ? `From ${points[0].name} to ${points.at(-1).name}, at most ${show(most)}` : "Nothing yet";
  figure.replaceChildren(
    make("figcaption", {}, title, make("span", { class: "dim" }, ` ${told}.`)),
    draw("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}. ${told}.`,
    }, ...bars),
  );
}
