// What is used of a quota.

import { fact } from "./header.js";

// Of small amounts the first digits that there are: 0.000059 is not 0.
const plain = (number) => number.toLocaleString(undefined,
  Math.abs(number) < 0.1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 });

const bounded = (used, limit) => `${plain(used)}${limit === null ? "" : ` of ${plain(limit)}`} this month`;

export function drawQuota(place, { used, limits, in_teams: inTeams, teams, month }) {
  const shared = inTeams?.environments ? `, ${plain(inTeams.environments)} of them in your teams` : "";
  place.replaceChildren(
    fact("Environments", `${plain(used.environments)} of ${plain(limits.environments)}${shared}`),
    fact("CPUs of those that run", `${plain(used.cpus)} of ${plain(limits.cpus)}`),
    fact("Memory of those that run", `${plain(used.memory_mb)} of ${plain(limits.memory_mb)} MiB`),
    fact("CPU hours", bounded(month.used.cpu_hours, month.limits.cpu_hours)),
    fact("Memory, GiB hours", bounded(month.used.memory_gib_hours, month.limits.memory_gib_hours)),
    ...(teams ? [fact("Teams that you made", `${plain(teams.used)} of ${plain(teams.limit)}`)] : []),
  );
}
