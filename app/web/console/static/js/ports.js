// Where the ports of an environment are.

import { make } from "./dom.js";

/** Links to what is published, and in words what is not. */
export function shownPorts(environment) {
  const up = environment.status === "running" || environment.status === "paused";
  const published = up ? environment.published_ports : [];
  const shown = published.map((port) => {
    const text = `${port.container_port} → ${port.host_port}${port.protocol === "udp" ? "/udp" : ""}`;
    if (port.protocol === "udp") return make("span", {}, text);
    // Published on the host that serves this page, or on its loopback address alone.
    const address = `http://${location.hostname}:${port.host_port}/`;
    return make("a", { href: address, target: "_blank", rel: "noreferrer noopener", title: address }, text);
  });
  const rest = environment.ports.filter((port) =>
    !published.some((one) => one.container_port === port.container_port && one.protocol === port.protocol));
  return [...shown, ...rest.map((port) => make("span", { class: "dim" }, `${port.container_port}`))];
}
