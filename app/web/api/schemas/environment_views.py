"""What the environment routes answer."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, computed_field

from app.domain.authorization import May
from app.domain.fields import DEFAULT_VOLUME_PATH, Name, Port
from app.storage import EnvironmentStatus, ExitReason, PullPolicy
from app.web.api.schemas.pages import PageView


class PullProgressView(BaseModel):
    """How far the pull is that the start waits for."""

    model_config = ConfigDict(from_attributes=True)

    percent: float = Field(examples=[42.5])
    bytes_done: int
    bytes_total: int = Field(description="Of the layers whose size is known so far.")


class EnvironmentView(BaseModel):
    """An environment, as whoever may see it does."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(examples=["0f8c2a52-7a4e-4a55-9d0e-3a6f0f6f2f10"])
    name: Name
    project_id: str = Field(examples=["b0f3f5c4-6f0e-4a25-9a55-0d5a2e6c8f21"])
    image: str = Field(examples=["python:3.12-slim"])
    pull: PullPolicy
    status: EnvironmentStatus
    error: str | None = Field(description="Why the status is error.", examples=[None])
    pull_progress: PullProgressView | None = Field(
        default=None, description="While a start waits for its image."
    )
    env: dict[str, str]
    secret_names: list[str] = Field(examples=[["API_TOKEN"]])
    ports: list[Port] = Field(description="The ports asked for.")
    published_ports: list[Port] = Field(description="Where they were published at the last start.")
    volume_path: str | None = Field(examples=[DEFAULT_VOLUME_PATH])
    cpu_limit: float
    memory_limit_mb: int
    expires_at: datetime | None
    exit_reason: ExitReason | None = Field(description="Of the last run that ended.")
    exit_code: int | None
    exited_at: datetime | None
    may: May = Field(default_factory=list)
    created_at: datetime
    updated_at: datetime


class StartingView(EnvironmentView):
    """An environment whose start goes on without the caller."""

    events_url: str = Field(description="Where its progress is sent as server-sent events.")


class StatsView(BaseModel):
    """What a running environment uses, over about the last second."""

    model_config = ConfigDict(from_attributes=True)

    cpu_percent: float = Field(description="100 is one core.", examples=[12.5])
    cpu_seconds: float
    memory_bytes: int = Field(description="Without inactive page cache.")
    memory_limit_bytes: int
    network_rx_bytes: int
    network_tx_bytes: int
    block_read_bytes: int
    block_write_bytes: int
    pids: int
    read_at: datetime

    @computed_field(description="Of the limit.", examples=[25.0])
    def memory_percent(self) -> float:
        """How much of the memory limit is used."""
        limit = self.memory_limit_bytes
        return round(100 * self.memory_bytes / limit, 2) if limit else 0.0


class EnvironmentPage(PageView[EnvironmentView]):
    """A page of environments, newest first; `total` counts all that match."""
