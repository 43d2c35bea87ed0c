// What is used of a quota.

import { fact } from "./header.js";

const plain = (number) => Number(number.toFixed(2)).toLocaleString();

export function drawQuota(place, { used, limits, in_teams: inTeams, teams }) {
  const shared = inTeams?.environments ? `, ${plain(inTeams.environments)} of them in your teams` : "";
  place.replaceChildren(
    fact("Environments", `${plain(used.environments)} of ${plain(limits.environments)}${shared}`),
    fact("CPUs of those that run", `${plain(used.cpus)} of ${plain(limits.cpus)}`),
    fact("Memory of those that run", `${plain(used.memory_mb)} of ${plain(limits.memory_mb)} MiB`),
    ...(teams ? [fact("Teams that you made", `${plain(teams.used)} of ${plain(teams.limit)}`)] : []),
  );
}
