"""The one door to Docker: deadlines, error translation, nothing of HTTP or of the domain.

Use `Engine` in annotations and `DockerEngine` where the app is wired; everything else in this
package is its own business.
"""

from app.engine.docker_engine import DockerEngine
from app.engine.types import (
    ENVIRONMENT_LABEL,
    OPERATIONS,
    ContainerSpec,
    ContainerState,
    Engine,
    ExecResult,
    Operation,
    PortBinding,
    operation,
)

__all__ = [
    "ENVIRONMENT_LABEL",
    "OPERATIONS",
    "ContainerSpec",
    "ContainerState",
    "DockerEngine",
    "Engine",
    "ExecResult",
    "Operation",
    "PortBinding",
    "operation",
]
