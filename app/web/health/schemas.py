"""Bodies of the health routes."""

from typing import Literal

from pydantic import BaseModel, Field

from app.metrics.usage_series import Part


class Collect(BaseModel):
    """Which series of what has been used a scrape asks for, in place of all others."""

    collect: list[Part] = Field(default=[], alias="collect[]", max_length=len(Part))
    created: bool = Field(
        default=False, description="Whether text shows of each total when it began (`_created`)."
    )


class Health(BaseModel):
    """The process answers; nothing else was looked at."""

    status: Literal["ok"] = "ok"
    timestamp: str = Field(examples=["2025-10-01T12:00:00.000+00:00"])
    uptime: float = Field(description="Seconds since the service started.", examples=[86400.0])
    version: str = Field(examples=["0.2.0"])


class CheckResult(BaseModel):
    """What one readiness check found."""

    status: Literal["up", "down"]
    latency_ms: float = Field(examples=[1.2])


class Readiness(BaseModel):
    """Whether this process should get requests; `checks` is empty while it drains."""

    status: Literal["ready", "unavailable", "starting", "draining"]
    timestamp: str = Field(examples=["2025-10-01T12:00:00.000+00:00"])
    checks: dict[str, CheckResult]
