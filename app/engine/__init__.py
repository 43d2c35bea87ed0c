"""The one gateway to Docker: deadlines, error translation, nothing of HTTP or of the domain.

Use `Engine` in annotations and `DockerEngine` where the app is wired; everything else in this
package is its own business.
"""

from app.engine.cgroups import GroupFiles, group_files
from app.engine.cutting import Cut
from app.engine.docker_engine import DockerEngine
from app.engine.run_end import RunEnd
from app.engine.types import OPERATIONS, Engine, Operation, Stream, TerminalStream, operation
from app.engine.values import (
    ENVIRONMENT_LABEL,
    INSTANCE_LABEL,
    UNKNOWN,
    ContainerEvent,
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ContainerSummary,
    DiskUse,
    ExecResult,
    ExecState,
    HostProcess,
    LayerProgress,
    LogLine,
    PortBinding,
    PullProgress,
    RunCounters,
    VolumeMount,
    VolumeSummary,
)

__all__ = [
    "ENVIRONMENT_LABEL",
    "INSTANCE_LABEL",
    "OPERATIONS",
    "UNKNOWN",
    "ContainerEvent",
    "ContainerSpec",
    "ContainerState",
    "ContainerStats",
    "ContainerSummary",
    "Cut",
    "DiskUse",
    "DockerEngine",
    "Engine",
    "ExecResult",
    "ExecState",
    "GroupFiles",
    "HostProcess",
    "LayerProgress",
    "LogLine",
    "Operation",
    "PortBinding",
    "PullProgress",
    "RunCounters",
    "RunEnd",
    "Stream",
    "TerminalStream",
    "VolumeMount",
    "VolumeSummary",
    "group_files",
    "operation",
]
