"""The tables, as typed models.

A change here needs a migration beside it; a test holds the two equal. Constraints are named by one
convention, because a migration can only drop what has a known name.
"""

from app.storage.models.accounts import (
    ApiKey,
    AuthToken,
    EndReason,
    Invitation,
    Login,
    LoginKind,
    Membership,
    Project,
    Team,
    TeamRole,
    TokenKind,
    User,
)
from app.storage.models.alerts import Alert, AlertHeartbeat
from app.storage.models.base import Base, new_id, utc_now
from app.storage.models.environments import (
    ContainerExit,
    Environment,
    EnvironmentStatus,
    ExitReason,
    ImagePull,
    PortReservation,
    PullPolicy,
    PullStatus,
)
from app.storage.models.extensions import Extension, ExtensionPackage, ExtensionState
from app.storage.models.logs import (
    LogCursor,
    LogEntry,
    LogShipping,
    LogSource,
    LogStream,
    LogUsage,
)
from app.storage.models.service import (
    AgentReport,
    AuditEntry,
    ClockReading,
    DurableCounter,
    EventCount,
    Installation,
    Lease,
    Process,
    Report,
    WriteProof,
)
from app.storage.models.sessions import (
    EnvironmentSession,
    SessionStatus,
    SessionType,
    SocketTicket,
    Terminal,
)
from app.storage.models.usage import (
    UsageCursor,
    UsagePeriod,
    UsageRow,
    UsageTotal,
    UsageTotalKind,
)

__all__ = [
    "AgentReport",
    "Alert",
    "AlertHeartbeat",
    "ApiKey",
    "AuditEntry",
    "AuthToken",
    "Base",
    "ClockReading",
    "ContainerExit",
    "DurableCounter",
    "EndReason",
    "Environment",
    "EnvironmentSession",
    "EnvironmentStatus",
    "EventCount",
    "ExitReason",
    "Extension",
    "ExtensionPackage",
    "ExtensionState",
    "ImagePull",
    "Installation",
    "Invitation",
    "Lease",
    "LogCursor",
    "LogEntry",
    "LogShipping",
    "LogSource",
    "LogStream",
    "LogUsage",
    "Login",
    "LoginKind",
    "Membership",
    "PortReservation",
    "Process",
    "Project",
    "PullPolicy",
    "PullStatus",
    "Report",
    "SessionStatus",
    "SessionType",
    "SocketTicket",
    "Team",
    "TeamRole",
    "Terminal",
    "TokenKind",
    "UsageCursor",
    "UsagePeriod",
    "UsageRow",
    "UsageTotal",
    "UsageTotalKind",
    "User",
    "WriteProof",
    "new_id",
    "utc_now",
]
