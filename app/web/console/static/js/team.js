// One team: its members, its projects, and what of its quota is in use.

import { api } from "./access.js";
import { confirmed } from "./confirm.js";
import { make, notice, one, say, showProblem } from "./dom.js";
import { onSubmit } from "./forms.js";
import { drawTeamUsage } from "./history.js";
import { me } from "./me.js";
import { drawQuota } from "./quota.js";
import { action, actions, all, cell, drawTable } from "./rows.js";
import { day, projectCells, rename } from "./teams.js";

const ROLES = ["viewer", "developer", "admin"];

export function mountTeam(here) {
  const { root, signal, attempt, go } = here;
  const path = `/teams/${encodeURIComponent(one("#team", root).dataset.id)}`;
  const fail = (error) => showProblem(root, error);
  const [members, projects] = [one("[data-members]", root), one("[data-projects]", root)];
  const [newMember, newProject] = [one("[data-new-member]", root), one("[data-new-project]", root)];
  let account = null;

  async function leave(team) {
    if (!(await confirmed(`Leave ${team.name}?`, "You see its projects no more.", { yes: "Leave", no: "Stay" }))) return;
    await api("DELETE", `${path}/members/${account.id}`);
    notice(`You have left ${team.name}.`);
    await go("/teams");
  }
  async function remove(member, team) {
    const text = `${member.email} sees the projects of ${team.name} no more, and what they have open is closed.`;
    if (!(await confirmed(`Remove ${member.email}?`, text, { yes: "Remove", no: "Keep" }))) return;
    await api("DELETE", `${path}/members/${member.user_id}`);
    await refresh();
  }
  function roleOf(member, may) {
    if (!may) return member.role;
    const select = make("select", { "aria-label": `Role of ${member.email}` },
      ...ROLES.map((role) => make("option", { value: role, selected: role === member.role }, role)));
    select.addEventListener("change", () => attempt(async () => {
      await api("PUT", `${path}/members/${member.user_id}`, { role: select.value });
      fail(null);
      await refresh();
    }, (error) => {
      select.value = member.role;
      fail(error);
    }));
    return select;
  }
  function drawMembers(team, found) {
    const may = team.may.includes("team.members");
    drawTable(one("[data-rows]", members), found, (member) => [
      cell("", member.user_id === account.id ? `${member.email} (you)` : member.email), cell("Role", roleOf(member, may)),
      cell("Since", day(member.created_at)),
      actions(may && member.user_id !== account.id && action("Remove", member.email, () => attempt(() => remove(member, team), fail))),
    ]);
    newMember.hidden = !may;
  }
  async function refresh() {
    let team = null;
    try {
      team = await api("GET", path);
    } catch (error) {
      if (error.status !== 404) throw error;
      notice("This team is gone, or you are not in it.");
      await go("/teams");
      return;
    }
    const [people, own, quota] = await Promise.all([
      all(api, `${path}/members`), all(api, `/projects?team_id=${team.id}`), api("GET", `/quota?team_id=${team.id}`),
    ]);
    if (signal.aborted) return;
    say(one("#team-name", root), team.name);
    document.title = `${team.name} · VibeBox`;
    say(one("[data-role]", root), `You are ${team.role}.`);
    one("[data-actions]", root).replaceChildren(...[
      team.may.includes("team.change") && action("Rename", team.name, () => rename(here, "teams", team, refresh)),
      team.may.includes("team.leave") && action("Leave", team.name, () => attempt(() => leave(team), fail)),
    ].filter(Boolean));
    drawMembers(team, people);
    say(one("[data-none]", projects), own.length ? "" : "The team has no project yet.");
    drawTable(one("[data-rows]", projects), own, (project) => projectCells(here, project, null, refresh, fail));
    newProject.hidden = !team.may.includes("project.create");
    one("[data-quota]", root).hidden = false;
    drawQuota(one("[data-quota] dl", root), quota);
    one("[data-used]", root).hidden = false;
    await drawTeamUsage(one("[data-used]", root), team.id);
  }
  onSubmit(newMember, here, async ({ elements }) => {
    await api("POST", `${path}/members`, { email: elements.email.value.trim(), role: elements.role.value });
    newMember.reset();
    await refresh();
  });
  onSubmit(newProject, here, async ({ elements }) => {
    await api("POST", "/projects", { name: elements.name.value.trim(), team_id: one("#team", root).dataset.id });
    newProject.reset();
    await refresh();
  });
  attempt(async () => {
    account = await me();
    await refresh();
  }, fail);
}
