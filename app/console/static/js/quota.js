// What is used of a quota.

import { fact } from "./header.js";

const plain = (number) => `${Number(number.toFixed(2))}`;

export function drawQuota(place, { used, limits }) {
  place.replaceChildren(
    fact("Environments", `${used.environments} of ${limits.environments}`),
    fact("CPUs of those that run", `${plain(used.cpus)} of ${plain(limits.cpus)}`),
    fact("Memory of those that run", `${used.memory_mb} of ${limits.memory_mb} MiB`),
  );
}
