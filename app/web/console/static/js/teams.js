// Teams and projects: what there is, and what the caller may do with each.

import { api } from "./access.js";
import { ask, confirmed } from "./confirm.js";
import { make, one, say, showProblem } from "./dom.js";
import { onSubmit } from "./forms.js";
import { me } from "./me.js";
import { action, actions, all, cell, drawTable } from "./rows.js";

export const day = (text) => new Date(text).toLocaleDateString();

/** Ask for a new name. */
export function rename(here, kind, found, refresh) {
  const fields = [{ name: "name", label: "Name", value: found.name, maxlength: "63", spellcheck: "false" }];
  ask(here, { title: `Rename ${found.name}`, fields, submit: "Rename" }, async ({ name }) => {
    await api("PATCH", `/${kind}/${found.id}`, { name: name.trim() });
    await refresh();
  });
}

async function remove(kind, found, text, refresh) {
  if (!(await confirmed(`Delete ${found.name}?`, text))) return;
  await api("DELETE", `/${kind}/${found.id}`);
  await refresh();
}

/** The row of a project; `owner` is a cell in words, or nothing where that is plain. */
export function projectCells(here, project, owner, refresh, fail) {
  const may = (name) => project.may.includes(name);
  const done = (work) => () => here.attempt(work, fail);
  return [
    cell("", make("a", { href: `/?project=${project.id}` }, project.name)),
    ...(owner === null ? [] : [cell("Owner", owner)]),
    cell("Since", day(project.created_at)),
    actions(
      may("project.change") && action("Rename", project.name, () => rename(here, "projects", project, refresh)),
      may("project.delete") && action("Delete", project.name,
        done(() => remove("projects", project, "Only a project without environments can be deleted.", refresh)))),
  ];
}

export function mountTeams(here) {
  const { root, signal, attempt } = here;
  const fail = (error) => showProblem(root, error);
  const [teamsAt, projectsAt] = [one("[data-teams]", root), one("[data-projects]", root)];
  const [newTeam, newProject] = [one("[data-new-team]", root), one("[data-new-project]", root)];

  function drawTeams(teams) {
    say(one("[data-none]", teamsAt), teams.length ? "" : "You are in no team.");
    drawTable(one("[data-rows]", teamsAt), teams, (team) => [
      cell("", make("a", { href: `/teams/${team.id}` }, team.name)), cell("Your role", team.role), cell("Since", day(team.created_at)),
      actions(team.may.includes("team.change") && action("Rename", team.name, () => rename(here, "teams", team, refresh)),
        team.may.includes("team.delete") && action("Delete", team.name, () => attempt(() =>
          remove("teams", team, "Only a team without projects can be deleted.", refresh), fail))),
    ]);
  }
  function drawProjects(projects, teams) {
    const names = new Map(teams.map((team) => [team.id, team.name]));
    say(one("[data-none]", projectsAt), projects.length ? "" : "You see no project. The first environment makes one that is called personal.");
    drawTable(one("[data-rows]", projectsAt), projects, (project) =>
      projectCells(here, project, names.get(project.owner_team_id) ?? (project.owner_team_id ? "a team" : "you"), refresh, fail));
  }
  async function refresh() {
    const [account, teams, projects] = await Promise.all([me(), all(api, "/teams"), all(api, "/projects")]);
    if (signal.aborted) return;
    drawTeams(teams);
    drawProjects(projects, teams);
    newTeam.hidden = !account.may.includes("team.create");
    const owners = teams.filter((team) => team.may.includes("project.create"));
    const self = account.may.includes("project.create") ? [make("option", { value: "" }, "you")] : [];
    newProject.elements.team_id.replaceChildren(...self, ...owners.map((team) => make("option", { value: team.id }, team.name)));
    newProject.hidden = !self.length && !owners.length;
  }
  onSubmit(newTeam, here, async ({ elements }) => {
    await api("POST", "/teams", { name: elements.name.value.trim() });
    newTeam.reset();
    await refresh();
  });
  onSubmit(newProject, here, async ({ elements }) => {
    await api("POST", "/projects", { name: elements.name.value.trim(), ...(elements.team_id.value ? { team_id: elements.team_id.value } : {}) });
    newProject.reset();
    await refresh();
  });
  attempt(refresh, fail);
}
