"""Who answers for what a team has, when somebody goes or the team itself does.

It counts against the account that made the team. Nobody gets rid of it by leaving, by deleting the
team and making another, or by having it taken over whom it does not fit: each time they would have
their quota anew.
"""

from collections.abc import Iterator
from dataclasses import asdict

from sqlalchemy.orm import Session

from app.core.amounts import RESOURCES, exact
from app.core.errors import TeamConflictError
from app.domain.quotas.checks import NOBODY, ROUNDING, Account, Checks, locked
from app.domain.quotas.month import rows_of
from app.domain.quotas.usage import stands_for_itself, usage
from app.storage import Project, Team
from app.storage.months import used_this_month

_TAKE_OUT = "have another admin of the team take you out, whom it counts against then"
_OWN_QUOTA = "ask an operator to give the team a quota of its own"


def hand_over(session: Session, team: Team, leaving: str, actor: str, checks: Checks) -> None:
    """See to whom a team counts against when one of its admins is none any more.

    Who takes the one out whom it counts against answers for it from then on, and has to have room
    for it. Who leaves of their own accord cannot leave what it has behind.
    Raises: TeamConflictError.
    """
    if team.created_by != leaving:
        return
    if leaving != actor:
        _demand_room(session, team, actor, checks)
        team.created_by = actor
        return
    has = usage(session, Project.owner_team_id == team.id)
    if has.environments and not stands_for_itself(team):
        raise TeamConflictError(
            f"The team's environments count against your quota: delete them, or {_TAKE_OUT}."
        )
    _demand_unused(session, team, checks, _TAKE_OUT)
    team.created_by = NOBODY


def may_go(session: Session, team: Team, checks: Checks) -> None:
    """Ask that nothing is forgotten with the team. Raises: TeamConflictError."""
    _demand_unused(session, team, checks, _OWN_QUOTA)


def _demand_unused(session: Session, team: Team, checks: Checks, way: str) -> None:
    maker = locked(session, team.created_by) if team.created_by else None
    if maker is None or stands_for_itself(team):
        return
    limits = asdict(checks.account(maker).month)
    used = used_this_month(session, rows_of(team))._asdict()
    if any(used[name] for name, limit in limits.items() if limit is not None):
        raise TeamConflictError(
            "What the team has used this month counts against the quota of who made it: wait until "
            f"the month (UTC) is over, or {way}."
        )


def _demand_room(session: Session, team: Team, heir_id: str, checks: Checks) -> None:
    heir = locked(session, heir_id)
    if heir is None or stands_for_itself(team):
        return
    for name, limit, has, more in _amounts(session, team, checks.account(heir)):
        if more and limit is not None and has + more > limit + ROUNDING:
            raise TeamConflictError(
                f"What the team has would count against you, and does not fit into your quota "
                f"({RESOURCES[name]}: {exact(has)} and {exact(more)}, of {exact(limit)}): "
                f"delete some of it, or {_OWN_QUOTA}."
            )


def _amounts(
    session: Session, team: Team, heir: Account
) -> Iterator[tuple[str, float | None, float, float]]:
    """Yield of each resource the heir's limit, what they have, and what the team has."""
    pairs = (
        (heir.limits, heir.used(session), usage(session, Project.owner_team_id == team.id)),
        (
            heir.month,
            used_this_month(session, heir.rows),
            used_this_month(session, rows_of(team)),
        ),
    )
    for limits, has, more in pairs:
        for name, limit in asdict(limits).items():
            yield name, limit, getattr(has, name), getattr(more, name)
