"""The one exception tree of VibeBox.

Every error that a user or an operator can meet is a `VibeBoxError`. A class states the HTTP status
it maps to, a stable `slug` that clients may switch on, and a title; the instance adds a `detail`
that says what happened and what to do next. Third-party errors are translated at the boundary
(`app.storage`, `app.engine`) and chained, so that driver text reaches the log and never a client.

This module only declares; `app.web.problems` turns an error into a response (RFC 9457).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from app.core.amounts import RESOURCES, exact


class Limit(StrEnum):
    """What somebody was refused by; a label of the metric, so each refusal names one."""

    # An account's share of what one process can do at once.
    REQUESTS = "requests"
    WEBSOCKETS = "websockets"
    STREAMS = "streams"
    UPLOADS = "uploads"
    # The whole of it.
    SERVER_REQUESTS = "server_requests"
    SERVER_WEBSOCKETS = "server_websockets"
    SERVER_STREAMS = "server_streams"
    SERVER_UPLOADS = "server_uploads"
    # So many in a time.
    ATTEMPTS = "attempts"
    CHANGES = "changes"
    TELEMETRY = "telemetry"
    # What an account or a team may have.
    ENVIRONMENTS = "environments"
    CPUS = "cpus"
    MEMORY_MB = "memory_mb"
    CPU_HOURS = "cpu_hours"
    MEMORY_GIB_HOURS = "memory_gib_hours"
    API_KEYS = "api_keys"
    PROJECTS = "projects"
    MEMBERS = "members"
    SESSIONS = "sessions"
    EXTENSIONS = "extensions"
    PACKAGES = "packages"
    TICKETS = "tickets"
    TEAMS = "teams"
    # What all together may have.
    HOST_ENVIRONMENTS = "host_environments"
    HOST_CPUS = "host_cpus"
    HOST_MEMORY_MB = "host_memory_mb"
    HOST_ACCOUNTS = "host_accounts"


class VibeBoxError(Exception):
    """Root of every error of ours; `detail` is safe to show to an anonymous caller.

    `extensions` are further members of the response, for programs (RFC 9457, section 3.2);
    `retry_after` are whole seconds after which the same may succeed, None where nobody knows.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    default_detail: ClassVar[str] = "Something went wrong on our side."
    retry_after: int | None = None

    @classmethod
    def is_callers(cls) -> bool:
        """Whether the caller is the reason, and not the service, its database or Docker.

        Status, outcome labels, budgets and alerts all go by this, so that they tell the same.
        """
        return cls.status < 500

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.default_detail
        self.extensions: dict[str, Any] = {}
        super().__init__(self.detail)


class SettingsError(VibeBoxError):
    """The environment holds values that cannot be used; `mistakes` lists all of them."""

    slug = "settings-invalid"
    title = "Settings are not valid"

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(mistakes))


class MetricsDirectoryError(VibeBoxError):
    """PROMETHEUS_MULTIPROC_DIR cannot be used as the shared metrics directory."""

    slug = "metrics-directory-unusable"
    title = "The metrics directory cannot be used"


# --- what the caller sent -------------------------------------------------------------------


class MalformedBodyError(VibeBoxError):
    """The body is not JSON."""

    status = 400
    slug = "malformed-body"
    title = "The request body is not valid JSON"
    default_detail = "Send a JSON object with Content-Type: application/json."


class BodyTooLargeError(VibeBoxError):
    """The body is larger than any that the service has a use for."""

    status = 413
    slug = "body-too-large"
    title = "The request body is too large"
    default_detail = "Send at most 64 KiB; environments may have 1 MiB."


MOST_ERRORS = 20
"""Fields that an answer lists: enough to correct, and no answer larger than what it refuses."""
_LONGEST = 200


class RequestTimeoutError(VibeBoxError):
    """The client took too long to send its request."""

    status = 408
    slug = "request-timeout"
    title = "The request took too long to arrive"
    default_detail = "Send the request again, all of it without a pause."


class IncompleteBodyError(VibeBoxError):
    """The connection ended in the middle of the body."""

    status = 400
    slug = "incomplete-body"
    title = "The request body is not complete"
    default_detail = "The connection ended before all of the body had come; send it again."


class InvalidInputError(VibeBoxError):
    """Fields of the request break a rule; `errors` holds a `{field, message}` for the first ones.

    `number` is how many there are, where not all are given.
    """

    status = 422
    slug = "invalid-input"
    title = "The request is not valid"

    def __init__(self, errors: Sequence[Mapping[str, str]], number: int | None = None) -> None:
        # A field may be named by the caller, at any length.
        self.errors = [
            {name: text[:_LONGEST] for name, text in error.items()}
            for error in errors[:MOST_ERRORS]
        ]
        number = len(errors) if number is None else number
        fields = ", ".join(sorted({error["field"] for error in self.errors}))
        more = f", and {number - len(self.errors)} more" if number > len(self.errors) else ""
        super().__init__(f"Correct these fields and send the request again: {fields}{more}.")
        self.extensions = {"errors": self.errors}
        if more:
            self.extensions["error_count"] = number


class AuthenticationError(VibeBoxError):
    """The caller did not prove who they are."""

    status = 401
    slug = "not-authenticated"
    title = "Authentication is required"
    default_detail = "Send Authorization: Bearer <access token>; POST /api/v1/auth/login gives one."


class InvalidCredentialsError(AuthenticationError):
    """E-mail and password do not match an account."""

    slug = "invalid-credentials"
    title = "The credentials are not right"
    default_detail = "The e-mail address or the password is wrong."


class InvalidTokenError(AuthenticationError):
    """A token is unknown, expired or revoked."""

    slug = "invalid-token"
    title = "The token is not valid"
    default_detail = "The token is unknown, expired or revoked; log in again."


class CredentialEndedError(InvalidTokenError):
    """A login or an API key was good, and is no more; `reason` is one of `storage.EndReason`."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


class AccountDisabledError(VibeBoxError):
    """An operator has disabled the account; told to who knows its password only."""

    status = 403
    slug = "account-disabled"
    title = "The account is disabled"
    default_detail = "This account is disabled; ask an operator of this VibeBox to enable it."


class RegistrationClosedError(VibeBoxError):
    """Nobody may make an account for themselves, or only who is invited."""

    status = 403
    slug = "registration-closed"
    title = "Registration is closed"
    default_detail = (
        "Ask an operator of this VibeBox for an account (`vibebox accounts create`); they may open "
        "registration too, with VIBEBOX_REGISTRATION."
    )


class InvitationInvalidError(VibeBoxError):
    """An invitation is unknown, used, revoked or over, or for another address."""

    status = 403
    slug = "invitation-invalid"
    title = "The invitation is not valid"
    default_detail = (
        "The invitation is unknown, used or over, or for another e-mail address; ask an operator "
        "of this VibeBox for a new one."
    )


class InvitationNotFoundError(VibeBoxError):
    """No invitation that can be used has this id."""

    status = 404
    slug = "invitation-not-found"
    title = "Invitation not found"
    default_detail = "No open invitation has this id; GET /api/v1/invitations lists them."


class LoginNotFoundError(VibeBoxError):
    """The caller has no such login, or it has ended."""

    status = 404
    slug = "login-not-found"
    title = "Login not found"
    default_detail = "You have no login of this id; GET /api/v1/auth/logins lists them."


class AccountInUseError(VibeBoxError):
    """An account cannot be deleted for what would be lost or orphaned with it."""

    status = 409
    slug = "account-in-use"
    title = "The account is in use"


class LastOperatorError(VibeBoxError):
    """Without this account nobody could look after the service."""

    status = 409
    slug = "last-operator"
    title = "The last operator"
    default_detail = (
        "This is the only operator who can sign in; name another one first, with "
        "`vibebox operators grant EMAIL`."
    )


class MetricsForbiddenError(VibeBoxError):
    """The caller may not read the metrics."""

    status = 403
    slug = "metrics-forbidden"
    title = "The metrics are not public"
    default_detail = (
        "Scrape from this host without a proxy, or send the bearer token of VIBEBOX_METRICS_TOKEN."
    )


class TelemetryRefusedError(VibeBoxError):
    """What users' telemetry cannot be handed on for, now or later."""

    status = 400
    slug = "telemetry-refused"
    title = "Telemetry is refused"
    default_detail = "Send OTLP as protobuf."


class AlertsNotReceivedError(VibeBoxError):
    """The operator has not set the token with which Alertmanager tells its alerts."""

    status = 403
    slug = "alerts-not-received"
    title = "Alerts are not received"
    default_detail = (
        "Set VIBEBOX_ALERTS_TOKEN, and have Alertmanager send its value as a bearer token."
    )


_STORES = {
    "VIBEBOX_ALERTMANAGER_URL": "Alertmanager",
    "VIBEBOX_LOG_STORE_URL": "The store of log lines",
    "VIBEBOX_PROMETHEUS_URL": "Prometheus",
    "VIBEBOX_TRACE_STORE_URL": "The store of traces",
}
"""What the settings name."""


class StoreNotSetError(VibeBoxError):
    """What was asked for lies in a store of which no setting says the address."""

    status = 409
    slug = "store-not-set"
    title = "An address is not set"
    default_detail = "VIBEBOX_LOG_STORE_URL is not set."

    def __init__(self, setting: str, what: str) -> None:
        super().__init__(
            f"{setting} is not set; set it to the {what} where the service runs, and restart that."
        )
        self.extensions["setting"] = setting


class BusinessNotCountedError(VibeBoxError):
    """Sign-ups and what follows are not counted, so that there is nothing to show."""

    status = 409
    slug = "business-not-counted"
    title = "This is not counted"
    default_detail = (
        "VIBEBOX_BUSINESS is false, so sign-ups and returns are not counted; an operator of the "
        "host may set it to true."
    )


class StoreUnavailableError(VibeBoxError):
    """A store that a setting names does not answer, or not as one of its kind does.

    in_doubt: what was asked for, if it was a change, may have been made all the same.
    """

    status = 502
    slug = "store-unavailable"
    title = "What the service asks does not answer"
    default_detail = "The store of log lines (VIBEBOX_LOG_STORE_URL) did not answer in time."

    def __init__(self, setting: str, why: str, *, in_doubt: bool = False) -> None:
        super().__init__(f"{_STORES.get(setting, 'What it names')} ({setting}) {why}.")
        self.extensions["setting"] = setting
        self.in_doubt = in_doubt


class StoreAnswerTooLargeError(StoreUnavailableError):
    """A store answers, with more than is read: of one question, and not of the next."""


class RequestNotFoundError(VibeBoxError):
    """Nothing was written of such a request or trace, or not any more."""

    status = 404
    slug = "request-not-found"
    title = "There is no such request or trace"
    default_detail = (
        "The store has no line of a request or trace of that id at that time; a line takes some "
        "seconds to get there."
    )


class AlertNotFoundError(VibeBoxError):
    """There is no such alert, or it has been over for so long that nobody knows of it."""

    status = 404
    slug = "alert-not-found"
    title = "There is no such alert"
    default_detail = "No alert of that name or fingerprint fires, or has within a day."


class SilenceExistsError(VibeBoxError):
    """The same alerts are silenced already."""

    status = 409
    slug = "silence-exists"
    title = "There is such a silence already"
    default_detail = "The same alerts are silenced already; end that silence to make another."

    def __init__(self, id: str, ends_at: datetime, created_by: str) -> None:
        until = ends_at.isoformat(timespec="seconds")
        super().__init__(
            f"{created_by} has silenced the same alerts until {until}; end that silence ({id}) to "
            "make another."
        )


class SilenceNotFoundError(VibeBoxError):
    """There is no such silence, or it is over."""

    status = 404
    slug = "silence-not-found"
    title = "There is no such silence"
    default_detail = "Alertmanager has no silence of that id that is not over."


class PermissionDeniedError(VibeBoxError):
    """The caller is known, and may not do this."""

    status = 403
    slug = "permission-denied"
    title = "You may not do this"


class LimitError(VibeBoxError):
    """Root of what a limit refuses; each answer is counted by its `limit`."""

    limit: Limit


class TooManyAttemptsError(LimitError):
    """Too many failed or fast authentications of an account or from an address."""

    status = 429
    slug = "too-many-attempts"
    title = "Too many attempts"
    default_detail = "Wait as long as Retry-After says, then try again."
    limit = Limit.ATTEMPTS

    def __init__(self, retry_after: int = 60) -> None:
        super().__init__(f"Too many attempts; try again in {retry_after} seconds.")
        self.retry_after = retry_after


class TelemetryPostponedError(LimitError):
    """Users' telemetry that is taken later: too much at once, or their receiver does not answer.

    In both cases the sender keeps it and tries again (OTLP over HTTP); a receiver of theirs that is
    down is no failure of this service.
    """

    status = 429
    slug = "telemetry-postponed"
    title = "Telemetry is not taken now"
    default_detail = "Send it again after as many seconds as Retry-After says."
    limit = Limit.TELEMETRY
    retry_after = 2


_SHARES = {
    Limit.REQUESTS: "requests that take long",
    Limit.WEBSOCKETS: "WebSockets",
    Limit.STREAMS: "event streams",
    Limit.UPLOADS: "uploads",
}


class ShareExceededError(LimitError):
    """The account does as much at once as leaves room for others."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests at once"
    default_detail = "Your account does as much at once as it may; try again in a second."
    retry_after = 1

    def __init__(self, limit: Limit, held: int) -> None:
        self.limit = limit
        super().__init__(
            f"Your account has {held} {_SHARES[limit]} open at this server process, as many as "
            "leave room for others; end one, or try again in a second."
        )


class TooManyChangesError(LimitError):
    """The account changes more in a minute than a person or a program has reason to."""

    status = 429
    slug = "too-many-changes"
    title = "Too many changes"
    default_detail = "Wait as long as Retry-After says, then try again."
    limit = Limit.CHANGES

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(
            f"Your account changes more than it may at a time; try again in {retry_after} seconds."
        )
        self.retry_after = retry_after


_WHAT = {
    Limit.API_KEYS: ("API keys", "an account", "Revoke one that is not used."),
    Limit.PROJECTS: ("projects", "an account or a team", "Delete one that is empty."),
    Limit.MEMBERS: ("members", "a team", "Take one out who is not in it any more."),
    Limit.SESSIONS: ("sessions", "an environment", "End one first."),
    Limit.EXTENSIONS: ("extensions", "an environment", "Remove one first."),
    Limit.PACKAGES: ("MiB of uploaded extensions", "", "Remove one that was uploaded first."),
    Limit.TICKETS: ("tickets for WebSockets", "an account", "Wait until some have expired."),
    Limit.TEAMS: ("teams", "an account", "Delete one that you made, or ask an operator."),
    Limit.HOST_ACCOUNTS: (
        "accounts",
        "this VibeBox",
        "Ask an operator, who may delete some or raise VIBEBOX_HOST_ACCOUNTS.",
    ),
}


class LimitReachedError(LimitError):
    """There are as many as there may be; `owner` says whose, where that is not always the same."""

    status = 409
    slug = "limit-reached"
    title = "There are as many as there may be"
    default_detail = "Remove one that is not needed first."

    def __init__(self, limit: Limit, most: int, owner: str = "") -> None:
        self.limit = limit
        what, whose, step = _WHAT[limit]
        super().__init__(f"There are {most} {what}, as many as {owner or whose} may have. {step}")


_WHOSE = {
    "account": (
        "Your quota",
        "Delete or stop environments, or ask an operator for a larger quota.",
    ),
    "team": ("The team's quota", "Delete or stop environments of it, or ask an operator."),
    "maker": (
        "The team counts against the quota of who made it. That",
        "Delete or stop environments, or ask an operator for a quota of the team's own.",
    ),
    "host": (
        "The bound for all environments on this host",
        "Ask the operator, or try again when others have stopped something.",
    ),
}


class QuotaExceededError(LimitError):
    """Somebody would use more than a quota allows; `of` is whose: account, team, maker or host."""

    status = 409
    slug = "quota-exceeded"
    title = "The quota is used up"
    default_detail = "Delete or stop environments, or ask an operator for a larger quota."

    def __init__(
        self,
        resource: str,
        *,
        of: str,
        limit: float,
        used: float,
        requested: float,
        team: str | None = None,
        until: datetime | None = None,
    ) -> None:
        """`team`: the name of the team whose it is; `until`: of a quota of a month, when the next
        one begins."""
        whose, step = _WHOSE[of]
        told = f"{exact(used)} in use, {exact(requested)} asked for. {step}"
        if until is not None:
            told = (
                f"{exact(used)} used this month. What runs goes on; wait for {until:%Y-%m-%d} "
                "(UTC), when the next one begins, or ask an operator for a larger quota."
            )
        super().__init__(f"{whose} of {RESOURCES[resource]} is {exact(limit)}: {told}")
        self.limit = Limit(f"host_{resource}" if of == "host" else resource)
        self.extensions = {
            "quota": {
                "resource": resource,
                "limit": limit,
                "used": used,
                "requested": requested,
                "of": of,
                **({} if team is None else {"team": team}),
            }
        }


class TeamNotFoundError(VibeBoxError):
    """No such team, or the caller is not in it."""

    status = 404
    slug = "team-not-found"
    title = "Team not found"
    default_detail = "No team of yours has this id; GET /api/v1/teams lists them."


class TeamNameTakenError(VibeBoxError):
    """A team of this name exists."""

    status = 409
    slug = "team-name-taken"
    title = "The team name is taken"
    default_detail = "A team of this name exists; choose another name."


class TeamConflictError(VibeBoxError):
    """The team cannot be changed so in its present state."""

    status = 409
    slug = "team-conflict"
    title = "The team does not allow this now"


class MemberNotFoundError(VibeBoxError):
    """The account is not a member of the team, or does not exist."""

    status = 404
    slug = "member-not-found"
    title = "Member not found"
    default_detail = "This team has no such member."


class UserNotFoundError(VibeBoxError):
    """No account has this id or address."""

    status = 404
    slug = "user-not-found"
    title = "Account not found"
    default_detail = "No account has this id or e-mail address."


class ProjectNotFoundError(VibeBoxError):
    """No such project, or the caller does not see it."""

    status = 404
    slug = "project-not-found"
    title = "Project not found"
    default_detail = "No project of yours has this id; GET /api/v1/projects lists them."


class ProjectNameTakenError(VibeBoxError):
    """The owner has a project of this name."""

    status = 409
    slug = "project-name-taken"
    title = "The project name is taken"
    default_detail = "The owner has a project of this name; choose another name."


class ProjectNotEmptyError(VibeBoxError):
    """The project holds environments."""

    status = 409
    slug = "project-not-empty"
    title = "The project is not empty"
    default_detail = "Delete its environments first."


class ApiKeyNotFoundError(VibeBoxError):
    """The caller has no such API key."""

    status = 404
    slug = "api-key-not-found"
    title = "API key not found"
    default_detail = "You have no API key of this id; GET /api/v1/api-keys lists them."


class ApiKeyNameTakenError(VibeBoxError):
    """The caller has an API key of this name."""

    status = 409
    slug = "api-key-name-taken"
    title = "The API key name is taken"
    default_detail = "You have an API key of this name; choose another name or revoke that one."


class TemplateNotFoundError(VibeBoxError):
    """No template has this name."""

    status = 422
    slug = "template-not-found"
    title = "Template not found"
    default_detail = "No template has this name; GET /api/v1/templates lists them."


class SecretsUnavailableError(VibeBoxError):
    """Secrets cannot be encrypted or decrypted with the keys that the operator set."""

    status = 503
    slug = "secrets-unavailable"
    title = "Secrets cannot be kept"
    default_detail = (
        "The operator sets VIBEBOX_SECRET_KEYS first; `vibebox secrets new-key` makes a key."
    )


class SecretsNotSetUpError(VibeBoxError):
    """Somebody gives a secret to a service that keeps none: no key was ever set."""

    status = 422
    slug = "secrets-not-set-up"
    title = "This service keeps no secrets"
    default_detail = (
        "Leave the secrets out, or ask the operator to set VIBEBOX_SECRET_KEYS; `vibebox secrets "
        "new-key` makes a key."
    )


class PortReservedError(VibeBoxError):
    """Another environment asks for the same host port."""

    status = 409
    slug = "port-reserved"
    title = "A host port is reserved"


class ServerBusyError(LimitError):
    """As many requests take long as this process can serve beside others."""

    status = 503
    slug = "server-busy"
    title = "The server is busy"
    default_detail = "Too many requests that take long are under way; try again in a second."
    limit = Limit.SERVER_REQUESTS
    retry_after = 1


class TooManyUploadsError(ServerBusyError):
    """As many uploads are under way as this process has memory for."""

    default_detail = "Too many uploads are under way; try again in a few seconds."
    limit = Limit.SERVER_UPLOADS
    retry_after = 5


class TooManyStreamsError(LimitError):
    """As many streams are open as this process can serve beside other requests."""

    status = 503
    slug = "too-many-streams"
    title = "Too many open streams"
    default_detail = "Close a stream or try again in a few seconds."
    limit = Limit.SERVER_STREAMS


class TooManySocketsError(LimitError):
    """As many WebSockets are open as this process can serve."""

    status = 503
    slug = "too-many-sockets"
    title = "Too many open WebSockets"
    default_detail = "Close a terminal or a stream, or try again in a few seconds."
    limit = Limit.SERVER_WEBSOCKETS


class UpgradeRequiredError(VibeBoxError):
    """The route is a WebSocket, and the request asks for none."""

    status = 426
    slug = "upgrade-required"
    title = "A WebSocket is required"
    default_detail = "Open this address with a WebSocket client."


class HandshakeInvalidError(VibeBoxError):
    """The opening handshake of a WebSocket breaks a rule of the protocol."""

    status = 400
    slug = "handshake-invalid"
    title = "The WebSocket handshake is not valid"


class MisdirectedRequestError(VibeBoxError):
    """The request is for a host that is none of this service's names."""

    status = 421
    slug = "misdirected-request"
    title = "This service does not have that name"

    def __init__(self, host: str = "vibebox.example.org") -> None:
        super().__init__(
            f"The request is for the host {host!r}. If this service is meant to be reached by that "
            "name, the operator adds it to VIBEBOX_ALLOWED_HOSTS and restarts the service."
        )


class OriginRefusedError(VibeBoxError):
    """A page of another site opens a WebSocket, or signs in."""

    status = 403
    slug = "origin-refused"
    title = "This page may not use the service"
    default_detail = (
        "The page's origin is not the address of this service; the operator lists others in "
        "VIBEBOX_ALLOWED_ORIGINS."
    )


class EmailTakenError(VibeBoxError):
    """An account with this e-mail address exists."""

    status = 409
    slug = "email-taken"
    title = "The e-mail address is taken"
    default_detail = "An account with this e-mail address exists; log in instead."


class EnvironmentNotFoundError(VibeBoxError):
    """No such environment, or it belongs to somebody else."""

    status = 404
    slug = "environment-not-found"
    title = "Environment not found"
    default_detail = "No environment of yours has this id; GET /api/v1/environments lists them."


class EnvironmentNameTakenError(VibeBoxError):
    """The owner has an environment of this name."""

    status = 409
    slug = "environment-name-taken"
    title = "The environment name is taken"
    default_detail = "You have an environment of this name; choose another name."


class EnvironmentConflictError(VibeBoxError):
    """The environment is in a status that does not allow the operation."""

    status = 409
    slug = "environment-conflict"
    title = "The environment is in another status"


class SessionNotFoundError(VibeBoxError):
    """No such session, or it is in an environment that the caller does not see."""

    status = 404
    slug = "session-not-found"
    title = "Session not found"
    default_detail = "No session of yours has this id; list those of its environment."


class SessionConflictError(VibeBoxError):
    """The session has ended, or is in use in a way that allows no other."""

    status = 409
    slug = "session-conflict"
    title = "The session is in another state"


class SessionNotEndedError(VibeBoxError):
    """What runs in a session goes on, whatever was done to end it."""

    status = 409
    slug = "session-not-ended"
    title = "The session has not ended yet"
    default_detail = (
        "What runs in the session could not be ended yet; VibeBox goes on trying. Look at the "
        "session again in a minute, or restart the environment."
    )


class SessionStartError(VibeBoxError):
    """The session's program is there and did not start."""

    status = 422
    slug = "session-start-failed"
    title = "The session could not be started"


class ExtensionNotFoundError(VibeBoxError):
    """The environment is to have no such extension."""

    status = 404
    slug = "extension-not-found"
    title = "Extension not found"
    default_detail = "The environment has no extension of this id; list those that it has."


class ExtensionConflictError(VibeBoxError):
    """The extension is being installed or removed."""

    status = 409
    slug = "extension-conflict"
    title = "The extension is in another state"


# --- what no route is asked for: told by the server (`app.web.gunicorn_worker`) -----------------


class MalformedRequestError(VibeBoxError):
    """What was sent is no HTTP request."""

    status = 400
    slug = "malformed-request"
    title = "This is no HTTP request"
    default_detail = "Send a request as RFC 9112 has it."


class UriTooLongError(VibeBoxError):
    """The request line is longer than the server reads."""

    status = 414
    slug = "uri-too-long"
    title = "The request line is too long"
    default_detail = "Send a path and query of less than 4 kB."


class HeadersTooLargeError(VibeBoxError):
    """The headers are more, or longer, than the server reads."""

    status = 431
    slug = "headers-too-large"
    title = "The request headers are too large"
    default_detail = "Send at most 100 headers of at most 8 kB each, and 64 KiB of them in all."


class ExpectationFailedError(VibeBoxError):
    """The Expect header asks for something else than 100-continue."""

    status = 417
    slug = "expectation-failed"
    title = "The expectation cannot be met"
    default_detail = "Send no Expect header, or Expect: 100-continue."


class ProxyForbiddenError(VibeBoxError):
    """A PROXY line came from an address that may not send one."""

    status = 403
    slug = "proxy-forbidden"
    title = "The PROXY protocol is not taken from here"
    default_detail = "Send plain HTTP requests."


class TransferCodingError(VibeBoxError):
    """The body is coded in a way that the server does not know."""

    status = 501
    slug = "transfer-coding-unknown"
    title = "The transfer coding is not known"
    default_detail = "Send the body as it is, with a Content-Length, or in chunks."


class HttpVersionError(VibeBoxError):
    """The request is of another version of HTTP."""

    status = 505
    slug = "http-version-not-supported"
    title = "This version of HTTP is not spoken here"
    default_detail = "Speak HTTP/1.1."


# --- storage ----------------------------------------------------------------------------------


class StorageError(VibeBoxError):
    """Root of database errors.

    `for_operator` says, to whoever runs the service, what is wrong and the next step: it may name
    host, database and user, never a password, and goes to logs and to the command line only.
    """

    status = 503
    slug = "storage-unavailable"
    title = "The database is not available"
    default_detail = "The database did not answer; try again in a few seconds."

    def __init__(self, detail: str | None = None, *, for_operator: str | None = None) -> None:
        super().__init__(detail)
        self.for_operator = for_operator

    @property
    def reason(self) -> str:
        """What to tell an operator: the next step where it is known, else what is known of it."""
        if self.for_operator is not None:
            return self.for_operator
        return self.detail if self.detail != self.default_detail else str(self.__cause__ or self)


class StorageUnavailableError(StorageError):
    """The database cannot be reached or did not answer before its deadline.

    Its subclasses are databases that answer, and do not do what they are asked for.
    """


class StorageBusyError(StorageUnavailableError):
    """The database has more to do than it can: connections, locks, memory; asking again helps."""

    slug = "storage-busy"
    title = "The database is busy"
    default_detail = "The database is busy; try again in a few seconds."


class StorageReadOnlyError(StorageUnavailableError):
    """The database takes no changes: a standby, a read-only file system, a setting."""

    slug = "storage-read-only"
    title = "The database takes no changes"
    default_detail = (
        "The database takes no changes at the moment, so nothing was changed. Try again later."
    )


class StorageFullError(StorageUnavailableError):
    """The database's disk has no room left."""

    slug = "storage-full"
    title = "The database has no room left"
    default_detail = "The database has no room left, so nothing was changed. Try again later."


class StorageRefusedError(StorageUnavailableError):
    """The database refuses us: password, database or user unknown, no right to do this."""

    slug = "storage-refused"
    title = "The database refuses VibeBox"
    default_detail = (
        "The database refuses what VibeBox asks of it; the operator's log has the reason."
    )


class StorageDamagedError(StorageUnavailableError):
    """The database's files are damaged, gone, or cannot be read."""

    slug = "storage-damaged"
    title = "The database is damaged"
    default_detail = "The database's files cannot be used; the operator's log has the reason."


class SchemaRevisionError(StorageError):
    """The database has another schema revision than this release needs."""

    slug = "schema-revision"
    title = "The database schema is not the one this release needs"


# --- the agent --------------------------------------------------------------------------------


class AgentMissingError(VibeBoxError):
    """No agent leads: nobody keeps records and containers one."""

    status = 503
    slug = "agent-missing"
    title = "No agent is at work"
    default_detail = "No agent is at work; start `vibebox agent` beside the web server."


# --- Docker Engine ----------------------------------------------------------------------------


class EngineError(VibeBoxError):
    """Root of Docker Engine errors: the engine answered with something we did not expect."""

    status = 502
    slug = "engine-failure"
    title = "Docker Engine failed"
    default_detail = "Docker Engine reported a failure; the operator's log has the reason."


class EngineUnreachableError(EngineError):
    """No engine answers at DOCKER_HOST."""

    status = 503
    slug = "engine-unreachable"
    title = "Docker Engine is not reachable"
    default_detail = "Docker Engine does not answer; nothing was changed. Try again later."


class EngineTimeoutError(EngineError):
    """The engine did not finish in time; the call may still be carried out later."""

    status = 504
    slug = "engine-timeout"
    title = "Docker Engine did not answer in time"
    default_detail = "Docker Engine did not finish in time; look at the environment again."


class EngineFullError(EngineError):
    """The engine's disk has no room left."""

    status = 503
    slug = "engine-disk-full"
    title = "Docker Engine has no room left"
    default_detail = (
        "The disk of Docker Engine is full; try again when the operator has made room on it."
    )


class CommandTimeoutError(EngineTimeoutError):
    """A command in a container did not end in time, though the engine is well."""

    status = 409
    slug = "command-timeout"
    title = "The container does not answer in time"
    default_detail = (
        "A command did not end in time in the environment's container, and may still be running "
        "there; end what keeps it busy, or restart the environment."
    )


class CommandRunawayError(EngineError):
    """Commands in a container hang, or print without end: no further one is begun there."""

    status = 409
    slug = "command-runaway"
    title = "The container does not play along"
    default_detail = (
        "Commands in the environment's container hang or print without end; end what runs there, "
        "or restart the environment."
    )


class ContainerNotFoundError(EngineError):
    """The engine knows no such container."""

    status = 404
    slug = "container-not-found"
    title = "The container does not exist"
    default_detail = "The environment's container is gone; start the environment to make a new one."


class EngineConflictError(EngineError):
    """The container is in a state that does not allow the operation, or its name is taken."""

    status = 409
    slug = "engine-conflict"
    title = "The container is in another state"
    default_detail = "The container is in a state that does not allow this; look at it again."


class LimitsRefusedError(EngineConflictError):
    """The limits do not fit the host or what the container uses.

    To clients it is the conflict that it always was, in what releases told apart by words only.
    """

    default_detail = (
        "Docker Engine refuses these limits: the host has fewer CPUs, the container uses more "
        "memory, or they are too small to start with. Choose other limits."
    )


class SpecificationRefusedError(EngineError):
    """A container cannot be made of what the environment is described as."""

    status = 422
    slug = "specification-refused"
    title = "The environment cannot be started as it is described"
    default_detail = (
        "Docker Engine refuses the environment as it is described; change its image, volume_path, "
        "ports or variables."
    )


class ImageMissingError(EngineError):
    """The engine does not hold the image."""

    status = 422
    slug = "image-missing"
    title = "The image is not there"

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(
            f"Docker Engine holds no image {image!r}; "
            "pull or build it on the host, or choose another one."
        )


class ImagePullError(EngineError):
    """The registry has no such image, or does not give it to us."""

    status = 422
    slug = "image-pull-failed"
    title = "The image cannot be pulled"

    def __init__(self, image: str, *, silent: bool = False, often: bool = False) -> None:
        """`silent`: its registry does not answer as one does; `often`: it has had enough."""
        self.image = image
        missing = (
            f"There is no image {image!r} that Docker Engine may pull; check its name and tag, or "
            "have the operator log the host in to its registry."
        )
        unanswered = (
            f"The registry of the image {image!r} does not answer, or not as a registry does; "
            "check the image's name, or try again later."
        )
        refused = (
            f"The registry of the image {image!r} has been asked too often and gives none for now; "
            "try again later, or have the operator log the host in to it."
        )
        super().__init__(refused if often else unanswered if silent else missing)


class PullCutError(EngineError):
    """A pull was ended by us."""

    status = 409
    slug = "pull-cut"
    title = "The pull was ended"
    default_detail = "The pull was ended before the image was there."


class RegistryTooSlowError(VibeBoxError):
    """A registry sends next to nothing, and keeps others from pulling."""

    status = 422
    slug = "registry-too-slow"
    title = "The registry is too slow"

    def __init__(self, image: str) -> None:
        super().__init__(
            f"The registry of {image!r} sent next to nothing while others waited to pull; "
            "try again later, or take the image from another registry."
        )


class PortTakenError(EngineError):
    """A host port that the container wants to publish is in use."""

    status = 409
    slug = "port-taken"
    title = "A host port is taken"
    default_detail = (
        "A host port of this environment is in use; choose another one or leave it out."
    )


class ExecutableMissingError(EngineError):
    """The command to run does not exist in the container or cannot be executed."""

    status = 422
    slug = "executable-missing"
    title = "The command cannot be run in the container"


class LeadershipLostError(VibeBoxError):
    """Another agent leads, or may lead at any moment: nothing may be written in its name."""

    slug = "leadership-lost"
    title = "Another agent leads"
    default_detail = "This agent leads no longer; the one that does goes on with the work."


class ProbeAccountError(VibeBoxError):
    """The account that the synthetic user is to have cannot be used by it."""

    slug = "probe-account-unusable"
    title = "The synthetic user has no account"

    def __init__(self, detail: str, next_step: str) -> None:
        super().__init__(detail)
        self.next_step = next_step


class ProbeUnderWayError(VibeBoxError):
    """A round of the synthetic user goes on; two at once would disturb each other."""

    slug = "probe-under-way"
    title = "A round of the synthetic user goes on"
    default_detail = "The agent or another `vibebox probe` makes it; try again when it is through."
