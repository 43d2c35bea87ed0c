"""Who answers for what a team has, when somebody goes or the team itself does.

It counts against the account that made the team. Nobody gets rid of it by leaving, or by deleting
the team and making another: each would have the quota of a month anew.
"""

from dataclasses import asdict

from sqlalchemy.orm import Session

from app.core.errors import TeamConflictError
from app.domain.quotas.checks import NOBODY
from app.domain.quotas.month import Month, month_limits, rows_of, used_this_month
from app.domain.quotas.usage import stands_for_itself, usage
from app.storage import Project, Team, User

_TAKE_OUT = "have another admin of the team take you out, whom it counts against then"
_OWN_QUOTA = "ask an operator to give the team a quota of its own"


def hand_over(session: Session, team: Team, leaving: str, actor: str, defaults: Month) -> None:
    """See to whom a team counts against when one of its admins is none any more.

    Who takes the one out whom it counts against answers for it from then on. Who leaves of their
    own accord cannot leave what it has behind. `defaults` are the limits of a month.
    Raises: TeamConflictError.
    """
    if team.created_by != leaving:
        return
    if leaving != actor:
        team.created_by = actor
        return
    has = usage(session, Project.owner_team_id == team.id)
    if has.environments and not stands_for_itself(team):
        raise TeamConflictError(
            f"The team's environments count against your quota: delete them, or {_TAKE_OUT}."
        )
    _demand_unused(session, team, defaults, _TAKE_OUT)
    team.created_by = NOBODY


def may_go(session: Session, team: Team, defaults: Month) -> None:
    """Ask that nothing is forgotten with the team. Raises: TeamConflictError."""
    _demand_unused(session, team, defaults, _OWN_QUOTA)


def _demand_unused(session: Session, team: Team, defaults: Month, way: str) -> None:
    maker = session.get(User, team.created_by) if team.created_by else None
    if maker is None or stands_for_itself(team):
        return
    limits = asdict(month_limits(maker, defaults))
    used = asdict(used_this_month(session, rows_of(team)))
    if any(used[name] for name, limit in limits.items() if limit is not None):
        raise TeamConflictError(
            "What the team has used this month counts against the quota of who made it: wait until "
            f"the month (UTC) is over, or {way}."
        )
