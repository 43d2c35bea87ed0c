"""People who do things in an application whose audit log has the moments that a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from sqlalchemy import event

from app.agent.business import Business
from app.domain.accounts import first_account
from app.domain.authorization import Identity
from app.domain.sessions.records import SessionRecords
from app.storage import AuditEntry, Database, SessionType
from app.storage.fence import Fence, unfenced
from tests.support.application import User, parts
from tests.support.checks import PASSWORD
from tests.support.fakes import EndedTerminal, FakeEngine


class Clock:
    """The moment that it is; also the clock of the leader."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    @contextmanager
    def of_the_log(self) -> Iterator[None]:
        """Let entries be written at this moment."""

        def set_moment(_mapper: Any, _connection: Any, entry: AuditEntry) -> None:
            entry.at = self.moment

        event.listen(AuditEntry, "before_insert", set_moment)
        try:
            yield
        finally:
            event.remove(AuditEntry, "before_insert", set_moment)


def leader(
    database: Database, clock: Any, *, fence: Fence = unfenced, enabled: bool = True
) -> Business:
    """Return the task as a leader has it when its term begins."""
    return Business(database, clock, fence, enabled=enabled)


class People:
    """Does what a script says, over HTTP where there is a route for it."""

    def __init__(self, app: OpenAPI, client: FlaskClient, engine: FakeEngine) -> None:
        self._parts = parts(app)
        self._client = client
        self._users: dict[int, User] = {}
        self._ids: dict[int, str] = {}
        self._environments: dict[int, str] = {}
        self._gone: set[int] = set()
        self._numbers = count()
        self._records = SessionRecords(self._parts.database, self._parts.heartbeat)
        engine.outputs["sh"] = b"sh\ntmux\ncode-server\nPASSWORD=secret\n"
        # Whom is handed over what others leave.
        made = first_account.offer(self._parts.database).made
        assert made is not None
        self._heir = self._register("heir@example.org", made.token)
        self._operator = Identity(
            self._heir, "heir@example.org", is_operator=True, grant_id="console"
        )

    def do(self, who: int, what: str) -> None:
        """Do one thing, if somebody who is there can."""
        if who in self._gone:
            return
        if what in _SIGN_UPS:
            self._ids[who] = _SIGN_UPS[what](self, f"u{who}@example.org")
            return
        if what == "delete":
            self._parts.administration.delete(None, self._ids[who], self._heir)
            self._gone.add(who)
            return
        if who not in self._users or what == "login":
            self._login(who)
        if what != "login":
            _DEEDS[what](self, who)

    def _login(self, who: int) -> None:
        email = f"u{who}@example.org"
        body = {"email": email, "password": PASSWORD}
        answer = self._client.post("/api/v1/auth/login", json=body)
        assert answer.status_code == 200
        self._users[who] = User(self._client, email, answer.get_json())

    def _register(self, email: str, invitation: str | None = None) -> str:
        body = {"email": email, "password": PASSWORD, "invitation": invitation}
        body = {name: value for name, value in body.items() if value}
        answer = self._client.post("/api/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return str(answer.get_json()["id"])

    def _invited(self, email: str) -> str:
        made = self._parts.invitations.create(self._operator, email, None)
        return self._register(email, made.token)

    def _by_command(self, email: str) -> str:
        return self._parts.administration.create(email, PASSWORD, operator=False)

    def _create(self, who: int) -> None:
        ports = [{"container_port": 13337}]
        name = f"e{next(self._numbers)}"
        self._environments[who] = self._users[who].new_environment(name, ports=ports)

    def _start(self, who: int) -> None:
        if who in self._environments:
            self._users[who].post(f"/api/v1/environments/{self._environments[who]}/start")

    def _session(self, who: int, kind: SessionType) -> str | None:
        if who not in self._environments:
            return None
        path = f"/api/v1/environments/{self._environments[who]}/sessions"
        answer = self._users[who].post(path, json={"type": kind})
        assert answer.status_code in (201, 409), answer.get_data(as_text=True)
        return answer.get_json()["id"] if answer.status_code == 201 else None

    def _terminal(self, who: int) -> None:
        session_id = self._session(who, SessionType.TMUX)
        if session_id is not None:
            identity = Identity(self._ids[who], self._users[who].email)
            found = self._records.get(identity, session_id)
            claimed = self._records.claim(found)
            stream: Any = EndedTerminal()
            self._records.note_exec(identity, found, claimed.terminal_id, stream)

    def _vscode(self, who: int) -> None:
        session_id = self._session(who, SessionType.VSCODE_SERVER)
        if session_id is not None:
            answer = self._users[who].get(f"/api/v1/sessions/{session_id}/connection")
            assert answer.status_code == 200, answer.get_data(as_text=True)


_SIGN_UPS: dict[str, Callable[[People, str], str]] = {
    "open": People._register,
    "invitation": People._invited,
    "command_line": People._by_command,
}
_DEEDS: dict[str, Callable[[People, int], None]] = {
    "create": People._create,
    "start": People._start,
    "terminal": People._terminal,
    "vscode": People._vscode,
}
