"""The account of the synthetic user: made once, given a password by each round, nobody else's."""

import pytest
from sqlalchemy import select

from app.core.errors import (
    EmailTakenError,
    InvalidCredentialsError,
    InvalidInputError,
    InvalidTokenError,
    ProbeAccountError,
    TeamConflictError,
)
from app.domain.accounts import first_account
from app.domain.accounts.administration import Administration
from app.domain.accounts.logins import Device
from app.domain.accounts.registration import Mode, Registration
from app.domain.accounts.service import Accounts
from app.domain.authorization import Identity
from app.domain.probe import account
from app.domain.quotas.checks import Checks, Limits
from app.domain.teams.service import Teams
from app.storage import AuditEntry, AuthToken, Database, Environment, Login, Project, TeamRole, User
from tests.domain.accounts.conftest import CHEAP, EMAIL, ROOM, accounts, sign_up
from tests.storage.conftest import database, empty_database, url
from tests.support.checks import PASSWORD

__all__ = ["accounts", "database", "empty_database", "url"]
PROBE = "probe@vibebox.invalid"


@pytest.fixture
def administration(database: Database) -> Administration:
    return Administration(database, CHEAP, ROOM)


def test_each_round_has_a_password_of_its_own(
    database: Database, accounts: Accounts, administration: Administration
) -> None:
    first = account.ready(database, administration, PROBE)
    pair = accounts.login(PROBE, first.password)
    assert pair.is_synthetic and accounts.authenticate(pair.access_token).is_synthetic
    second = account.ready(database, administration, PROBE)

    assert second.account_id == first.account_id
    with pytest.raises(InvalidCredentialsError):
        accounts.login(PROBE, first.password)
    assert accounts.login(PROBE, second.password)
    with database.reading() as session:
        # Those of the rounds before are gone, but for the last one, which has ended.
        ended = [it.ended_at is not None for it in session.scalars(select(Login))]
        assert sorted(ended) == [False, True]
        assert len({token.grant_id for token in session.scalars(select(AuthToken))}) == 1
        made = session.scalars(select(User).where(User.is_synthetic)).one()
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.actor_id, AuditEntry.details).where(
                AuditEntry.target_id == made.id
            )
        ).all()
    assert (made.email, made.is_operator) == (PROBE, False)
    assert entries[0][0] == "account.create" and entries[0][2]["synthetic"] is True
    # Those that come again and again are its own, by which they are deleted soon.
    again = {actor for action, actor, _ in entries if action == "account.password_set"}
    assert again == {made.id}


def test_account_of_a_person_is_left_alone(
    database: Database, accounts: Accounts, administration: Administration
) -> None:
    with pytest.raises(ProbeAccountError, match="of a person") as refused:
        account.ready(database, administration, EMAIL)
    assert "VIBEBOX_PROBE_ACCOUNT" in refused.value.next_step
    assert f"accounts delete {EMAIL}" in refused.value.next_step
    assert accounts.login(EMAIL, PASSWORD)


def test_account_that_is_disabled_stays_so(
    database: Database, administration: Administration
) -> None:
    made = account.ready(database, administration, PROBE)
    administration.disable(None, made.account_id)
    with pytest.raises(ProbeAccountError, match="is disabled") as refused:
        account.ready(database, administration, PROBE)
    assert "accounts enable" in refused.value.next_step
    assert made.password not in repr(made)


def test_account_is_in_no_team_and_inherits_nothing(
    database: Database, administration: Administration
) -> None:
    made = account.ready(database, administration, PROBE)
    sign_up(database, EMAIL)
    ada = Identity(administration.id_of(EMAIL), EMAIL)
    limits = Limits(10, 10, 1000)
    teams = Teams(database, Checks(limits, limits, teams=9, accounts=9), by_operators=False)
    team = teams.create(ada, "builders")
    with pytest.raises(TeamConflictError, match="synthetic"):
        teams.invite(ada, team.id, PROBE, TeamRole.VIEWER)
    with pytest.raises(TeamConflictError, match="synthetic"):
        teams.put_member(ada, team.id, made.account_id, TeamRole.VIEWER)
    with database.writing() as session:
        project = Project(name="hers", owner_user_id=ada.user_id)
        session.add(project)
        session.flush()
        session.add(
            Environment(project_id=project.id, name="e", image="x", cpu_limit=1, memory_limit_mb=64)
        )
    with pytest.raises(InvalidInputError) as refused:
        administration.delete(None, ada.user_id, made.account_id)
    assert "synthetic" in str(refused.value.extensions)


def test_account_is_nobodys_first(database: Database, administration: Administration) -> None:
    link = first_account.offer(database).made
    account.ready(database, administration, PROBE)
    assert link is not None and not first_account.offer(database).accounts
    made = Registration(database, CHEAP, Mode.CLOSED, ROOM).register(EMAIL, PASSWORD, link.token)
    assert administration.get(None, made.id).is_operator
    assert first_account.offer(database).accounts


def test_address_in_capitals_is_the_same_account(
    database: Database, administration: Administration
) -> None:
    made = account.ready(database, administration, "Probe@VibeBox.invalid")
    again = account.ready(database, administration, "Probe@VibeBox.invalid")
    assert (again.account_id, again.email) == (made.account_id, PROBE)


def test_its_last_address_is_known_where_strangers_try_passwords(
    database: Database, accounts: Accounts, administration: Administration
) -> None:
    first = account.ready(database, administration, PROBE)
    for number in (1, 2):
        pair = accounts.login(PROBE, first.password, Device(f"192.0.2.{number}"))
    account.ready(database, administration, PROBE)
    assert accounts.knows(PROBE, "192.0.2.2") and not accounts.knows(PROBE, "192.0.2.1")
    with pytest.raises(InvalidTokenError):
        accounts.authenticate(pair.access_token)


def test_nobody_takes_its_address_before_the_first_round(
    database: Database, administration: Administration
) -> None:
    registration = Registration(database, CHEAP, Mode.OPEN, ROOM, PROBE)
    for address in (PROBE, PROBE.upper()):
        with pytest.raises(EmailTakenError):
            registration.register(address, PASSWORD)
    assert administration.get(None, account.ready(database, administration, PROBE).account_id)
