// What a running environment uses: measured when somebody asks, since that takes a second each time.

import { api } from "./access.js";
import { one, say } from "./dom.js";
import { fact } from "./header.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function size(count) {
  let [left, unit] = [count, 0];
  for (; left >= 1024 && unit < UNITS.length - 1; unit += 1) left /= 1024;
  return `${unit ? left.toFixed(1) : left} ${UNITS[unit]}`;
}

export function mountUsage({ root, attempt }, path) {
  const at = (name) => one(`[data-usage=${name}]`, root);
  root.addEventListener("environment", ({ detail }) => {
    const running = detail.status === "running";
    at("tools").hidden = !running;
    at("facts").hidden ||= !running;
  });
  at("ask").addEventListener("click", async () => {
    at("ask").disabled = true;
    say(at("state"), "Measuring for a second …");
    const used = await attempt(() => api("GET", `${path}/stats`), (error) => say(at("state"), error.message));
    at("ask").disabled = false;
    if (!used) return;
    say(at("state"), `At ${new Date(used.read_at).toLocaleTimeString()}.`);
    at("facts").replaceChildren(
      fact("CPU", `${used.cpu_percent.toFixed(1)} % of one core`),
      fact("Memory", `${size(used.memory_bytes)} of ${size(used.memory_limit_bytes)} (${used.memory_percent} %)`),
      fact("Network", `${size(used.network_rx_bytes)} in, ${size(used.network_tx_bytes)} out`),
      fact("Disk", `${size(used.block_read_bytes)} read, ${size(used.block_write_bytes)} written`),
      fact("Processes", `${used.pids}`),
    );
    at("facts").hidden = false;
  });
}
