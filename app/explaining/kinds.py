"""What an alert can be about."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a culprit is."""

    ADDRESS = "address"
    COLLECTOR = "collector"
    CONNECTIONS = "connections"
    DEPENDENCY = "dependency"
    DOCKER_OPERATION = "docker_operation"
    ENVIRONMENT = "environment"
    INSTANCE = "instance"
    LIMIT = "limit"
    METHOD = "method"
    METRICS_DIRECTORY = "metrics_directory"
    PROCESS = "process"
    ROUTE = "route"
    STATEMENT = "statement"
    STEP = "step"
    TASK = "task"


@dataclass(frozen=True)
class Culprit:
    """What an alert comes from, as far as it was found out."""

    kind: Kind
    id: str


@dataclass(frozen=True)
class Step:
    """One step on the way to the culprit, and why it was taken."""

    culprit: Culprit
    because: str


class Follow(StrEnum):
    """Where to look on, once a look at the metrics has named something."""

    FAILED = "failed"  # what failed in traces of the route
    SLOW = "slow"  # what took long in traces of the route
    CODE = "code"  # the route whose own code took long, and not what it waited for
    LOGIN_REFUSALS = "login_refusals"  # the address that most refused sign-ins came from
    REGISTRATIONS = "registrations"  # the address that most accounts were made from
    EXITS = "exits"  # the environment with the most such exits
    STATUS = "status"  # an environment that is in such a status
