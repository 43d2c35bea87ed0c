// For operators: who signs up, how far they get, and who comes back; of all accounts together.

import { api } from "./access.js";
import { drawBars } from "./chart.js";
import { one, say, showProblem } from "./dom.js";
import { fact } from "./header.js";
import { cell, drawTable } from "./rows.js";

const DAY = 86400;
const STEPS = {
  signed_up: "Signed up", environment: "Made an environment", started: "Started one",
  shell: "Had a usable shell", second_week: "Came back in the second week",
};
const UNITS = [[DAY, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const count = (number) => `${number}`;
const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
const words = (text) => text.replaceAll("_", " ");

function span(seconds) {
  const [unit, name] = UNITS.find(([each]) => seconds >= each) ?? UNITS.at(-1);
  return `${Number((seconds / unit).toFixed(1))} ${name}`;
}

/** The days from the first to the last, each with its sign-ups and with who was active, where that is known. */
function byDay({ since, until, cohorts, days }) {
  const found = new Map();
  for (let at = Date.parse(since); at <= Date.parse(until); at += DAY * 1000) {
    const day = new Date(at).toISOString().slice(0, 10);
    found.set(day, { day, signed_up: 0 });
  }
  for (const cohort of cohorts) found.get(cohort.day).signed_up += cohort.signed_up;
  for (const day of days) Object.assign(found.get(day.day), day);
  return [...found.values()];
}

/** A share of who came back, which grows until the second week of all is over. */
function soFar(shown, over, whole) {
  if (!over) return "–";
  return over < whole ? `${shown} so far` : shown;
}

function drawFunnel(place, { funnel, second_week: { over } }) {
  const whole = funnel[0].accounts;
  const told = (step, part, of) => (step === "second_week" ? soFar(share(part, of), over, whole) : share(part, of));
  const steps = funnel.map(({ step, accounts }, number) => ({ step, accounts, before: funnel[number - 1]?.accounts }));
  drawTable(one("[data-rows]", place), steps, ({ step, accounts, before }) => [
    cell("", STEPS[step] ?? words(step)), cell("Accounts", count(accounts)),
    cell("Of sign-ups", told(step, accounts, whole)), cell("Of the step before", before === undefined ? "–" : told(step, accounts, before)),
  ]);
}

function drawShell(at, { accounts, seconds, within }) {
  drawTable(one("[data-rows]", at("within")), within, (one) => [
    cell("", span(one.seconds)), cell("Accounts", count(one.accounts)), cell("Of those with a shell", share(one.accounts, accounts)),
  ]);
  say(at("mean"), accounts ? `${accounts} had one, after ${span(seconds / accounts)} on average.` : "Nobody has had one.");
}

function drawDays(at, days) {
  const last = days.filter(({ finished }) => finished).at(-1);
  at("active").replaceChildren(...(last ? [
    fact(`On ${last.day}`, count(last.active_1)), fact("In 7 days to it", count(last.active_7)), fact("In 30 days to it", count(last.active_30)),
  ] : [fact("Active", "No day is finished yet")]));
  const today = new Date().toISOString().slice(0, 10);
  const goesOn = ({ day, finished }) => finished === false || day === today;
  const named = (day) => (goesOn(day) ? `${day.day}, so far` : day.day);
  const bars = (value) => days.map((day) => ({ name: named(day), value: day[value] ?? null, goesOn: goesOn(day) }));
  drawBars(at("sign-ups"), "Sign-ups by the day", bars("signed_up"), count);
  drawBars(at("active-days"), "Active by the day", bars("active_1"), count);
  drawTable(one("[data-rows]", at("days")), [...days].reverse(), (day) => [
    cell("", named(day)), cell("Sign-ups", count(day.signed_up)),
    cell("Active", count(day.active_1 ?? "–")), cell("In 7 days", count(day.active_7 ?? "–")), cell("In 30 days", count(day.active_30 ?? "–")),
  ]);
}

export function mountBusiness({ root, signal, attempt }) {
  const at = (name) => one(`[data-business=${name}]`, root);
  const select = one("select", root);
  const state = one("[data-state]", root);

  function show(numbers) {
    for (const each of root.querySelectorAll("[data-numbers]")) each.hidden = !numbers;
  }
  function fail(error) {
    show(false);
    say(state, "");
    showProblem(root, error);
  }
  async function refresh() {
    const asked = select.value;
    say(state, "Loading …");
    const since = new Date(Date.now() - (Number(asked) - 1) * DAY * 1000).toISOString().slice(0, 10);
    const found = await attempt(() => api("GET", `/business?since=${since}`), fail);
    // Another number may have been chosen meanwhile.
    if (!found || signal.aborted || asked !== select.value) return;
    showProblem(root, null);
    drawFunnel(at("funnel"), found);
    at("ways").replaceChildren(...Object.entries(found.sign_ups).map(([way, number]) => fact(words(way), count(number))));
    drawShell(at, found.time_to_shell);
    drawDays(at, byDay(found));
    const { returned, over } = found.second_week;
    say(at("back"), `${returned} of these sign-ups have come back 7 to 14 days later; for ${over} of them that time is over.`);
    say(state, found.read_at ? `By the audit log up to ${new Date(found.read_at).toLocaleString()}.` : "The agent has not read the audit log yet.");
    show(true);
  }
  select.addEventListener("change", refresh);
  refresh();
}
