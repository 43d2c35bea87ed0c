// What an environment and a team have used, by the ledger: charts, and the same as tables.

import { api } from "./access.js";
import { drawBars } from "./chart.js";
import { one, repeat, say } from "./dom.js";
import { fact } from "./header.js";
import { cell, drawTable } from "./rows.js";
import { size } from "./usage.js";

const [HOUR, DAY] = [3600e3, 86400e3];
const GIB_HOUR = 2 ** 30 * 3600;
const LIVE_SECONDS = 10;
// What is little is not nothing.
const hundredths = (value) => (value > 0 && value < 0.005 ? "<0.01" : value.toFixed(2));
const cores = (value) => `${hundredths(value)} cores`;
const hours = (seconds) => `${hundredths(seconds / 3600)} h`;
const held = (item) => `${hundredths(item.memory_byte_seconds / GIB_HOUR)} GiB h`;
const stored = (item) => `${hundredths((item.volume_byte_seconds + item.layer_byte_seconds) / GIB_HOUR)} GiB h`;
const whole = (text) => text.replaceAll(" ", "\u00a0");
const moved = (item) => `${whole(`${size(item.network_rx_bytes)} in`)}, ${whole(`${size(item.network_tx_bytes)} out`)}`;
const minute = (moment) => new Date(moment).toLocaleTimeString([], { timeStyle: "short" });

/** The beginning of the day so many days ago, as the ledger's days are: in UTC. */
const dayBefore = (days) => new Date(Math.floor(Date.now() / DAY) * DAY - days * DAY);
const asked = (query) => api("GET", `/usage?${new URLSearchParams({ limit: 1000, ...query })}`);

function byDay(items, since) {
  const days = new Map();
  for (let at = since.getTime(); at <= Date.now(); at += DAY) {
    days.set(new Date(at).toISOString().slice(0, 10), {
      running_seconds: 0, cpu_seconds: 0, memory_byte_seconds: 0, network_rx_bytes: 0, network_tx_bytes: 0,
      volume_byte_seconds: 0, layer_byte_seconds: 0, unread_seconds: 0, cost: null,
    });
  }
  for (const item of items) {
    const day = days.get(item.starts_at.slice(0, 10));
    for (const key of Object.keys(day ?? {})) if (item[key] !== null) day[key] += item[key];
  }
  return [...days].map(([name, sums]) => ({ name, ...sums }));
}

function byHour(items, since) {
  const found = new Map(items.filter((item) => item.period === "hour").map((item) => [Date.parse(item.starts_at), item]));
  const points = [];
  for (let at = since.getTime(); at <= Date.now(); at += HOUR) {
    const name = new Date(at).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
    points.push({ name, value: (found.get(at)?.cpu_seconds ?? 0) / 3600 });
  }
  return points;
}

/** Draw a row for each of `items`, with its cost where there are prices. */
function drawUse(place, items, { currency, prices }) {
  const priced = Object.keys(prices).length > 0;
  one("th:last-child", place).hidden = !priced;
  drawTable(one("[data-rows]", place), items, (item) => [
    cell("", item.name), cell("Running", hours(item.running_seconds)), cell("CPU", hours(item.cpu_seconds)),
    cell("Memory", held(item)), cell("Network", moved(item)), cell("Stored", stored(item)), cell("Unread", hours(item.unread_seconds)),
    ...(priced ? [cell("Cost", `${hundredths(item.cost ?? 0)} ${currency}`)] : []),
  ]);
}

/** Say what of this nobody could read, and why. */
function unread({ sum, disk }) {
  const said = sum.unread_seconds ? [`Of ${hours(sum.unread_seconds)} nobody could read what was used.`] : [];
  if (disk?.reason) said.push(`What disks hold is unread since ${new Date(disk.unread_since).toLocaleString()} (${disk.reason}).`);
  return said.join(" ");
}

/** Show what an environment used: since the page was opened, up to an hour, and in seven days. */
export function mountHistory({ root, signal, attempt }, id) {
  const at = (name) => one(`[data-history=${name}]`, root);
  const trouble = (error) => say(at("state"), error.message);
  const since = dayBefore(6);
  const live = [];
  let last = null;

  async function look() {
    const found = await attempt(() => asked({ environment_id: id, each_period: true, since: since.toISOString() }), trouble);
    if (!found || signal.aborted) return;
    const { sum } = found;
    // By the time that the ledger has it run, so that a reading counts for as long as it is about.
    const ran = last ? sum.running_seconds - last.running_seconds : 0;
    if (ran > 0) live.push({ at: Date.now(), name: minute(Date.now()), value: (sum.cpu_seconds - last.cpu_seconds) / ran });
    while (live.length && live[0].at < Date.now() - HOUR) live.shift();
    last = sum;
    drawBars(at("live"), "CPU now", live, cores, HOUR / (LIVE_SECONDS * 1000));
    drawBars(at("week"), "CPU by the hour, 7 days", byHour(found.items, since), cores);
    drawUse(at("table"), byDay(found.items, since).reverse(), found);
    say(at("state"), unread(found));
  }
  repeat(signal, LIVE_SECONDS, look);
}

/** Show what a team used in thirty days, in all, by day and by environment. */
export async function drawTeamUsage(place, teamId) {
  const at = (name) => one(`[data-history=${name}]`, place);
  const since = dayBefore(29);
  const query = { team_id: teamId, since: since.toISOString() };
  const [days, environments] = await Promise.all([
    asked({ ...query, by: "team", each_period: true }), asked({ ...query, limit: 100 }),
  ]);
  const { sum, currency } = environments;
  at("sums").replaceChildren(
    fact("Running", hours(sum.running_seconds)), fact("CPU", hours(sum.cpu_seconds)), fact("Memory", held(sum)),
    fact("Network", moved(sum)), fact("Stored", stored(sum)), fact("Unread", hours(sum.unread_seconds)),
    ...(sum.cost === null ? [] : [fact("Cost", `${hundredths(sum.cost)} ${currency}`)]),
  );
  const daily = byDay(days.items, since);
  const points = daily.map(({ name, cpu_seconds: used }) => ({ name, value: used / 3600 }));
  drawBars(at("month"), "CPU hours by the day, 30 days", points, (value) => `${hundredths(value)} h`);
  drawUse(at("days"), daily.reverse(), days);
  drawUse(at("environments"), environments.items.map((item) => ({ ...item, name: item.name ?? item.id })), environments);
  const more = environments.total - environments.items.length;
  say(at("state"), [...(more > 0 ? [`And ${more} more: vibebox usage --team shows all.`] : []), unread(environments)].join(" "));
}
