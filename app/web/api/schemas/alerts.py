"""What Alertmanager sends (its webhook, version 4), and how alerts are shown."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.addresses import web_address
from app.domain.alerts.heartbeat import WATCHDOG, Pulse, State
from app.domain.alerts.service import MAX_NAME, Notice
from app.domain.alerts.sources import Source
from app.domain.fields import NO_NUL, JsonNumber, Moment
from app.stores.alertmanager import Silence
from app.web.api.schemas.pages import PageQuery, PageView

ONCE = 1000
"""How many alerts of one notification are taken in; the rest is counted as truncated."""
_SEVEREST = ("critical", "warning")
_Pairs = dict[str, str]


class WebhookAlert(BaseModel):
    """One alert of a notification; long text is clipped."""

    model_config = ConfigDict(populate_by_name=True)

    status: Literal["firing", "resolved"]
    labels: _Pairs = Field(examples=[{"alertname": "HighAPILatency", "severity": "warning"}])
    annotations: _Pairs = Field(default_factory=dict, examples=[{"summary": "The API is slow"}])
    starts_at: Moment = Field(alias="startsAt", examples=["2026-01-31T12:00:00Z"])
    ends_at: Moment | None = Field(
        default=None,
        alias="endsAt",
        description="The year 1 while the end is not known.",
        examples=["0001-01-01T00:00:00Z"],
    )
    generator_url: str = Field(default="", alias="generatorURL")
    fingerprint: str = Field(
        min_length=1, max_length=64, pattern=NO_NUL, examples=["c7b1b4f3c8e0d9a2"]
    )

    def notice(self) -> Notice:
        """Return it as the service takes it."""
        return Notice(
            fingerprint=self.fingerprint,
            firing=self.status == "firing",
            labels=self.labels,
            annotations=self.annotations,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            generator_url=self.generator_url,
        )


class Webhook(BaseModel):
    """A notification of Alertmanager; what else it holds is not looked at.

    It may hold any number of alerts: Alertmanager does not try again what is refused as a whole.
    """

    model_config = ConfigDict(populate_by_name=True)

    version: Literal["4"]
    alerts: list[WebhookAlert]
    truncated: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000_000,
            description="How many Alertmanager left out (its `max_alerts`).",
        ),
        JsonNumber,
    ] = Field(default=0, alias="truncatedAlerts")

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, told: Any) -> Any:
        """Keep the ONCE that matter most, before any of them is looked at more closely."""
        alerts = told.get("alerts") if isinstance(told, dict) else None
        if not isinstance(alerts, list) or len(alerts) <= ONCE:
            return told
        left_out = told.get("truncatedAlerts", 0)
        if type(left_out) in (int, float) and left_out >= 0:  # not True, which would be one
            left_out += len(alerts) - ONCE
        return {**told, "alerts": sorted(alerts, key=_rank)[:ONCE], "truncatedAlerts": left_out}


def _rank(alert: Any) -> int:
    """Return 0 for what fires and is critical, more for what matters less; the heartbeat first."""
    if not isinstance(alert, dict) or alert.get("status") != "firing":
        return len(_SEVEREST) + 1
    labels = alert.get("labels")
    severity = labels.get("severity") if isinstance(labels, dict) else None
    if isinstance(labels, dict) and labels.get("alertname") == WATCHDOG:
        return -1
    return _SEVEREST.index(severity) if severity in _SEVEREST else len(_SEVEREST)


class ReceiptView(BaseModel):
    """What became of a notification.

    dropped: there is no room for more alerts; truncated: left out of the notification, by
    Alertmanager or because it held too many; heartbeats: the alert Watchdog, which is kept as no
    alert.
    """

    model_config = ConfigDict(from_attributes=True)

    received: int
    dropped: int
    truncated: int
    heartbeats: int


class AlertQuery(PageQuery):
    """Which page of which alerts."""

    ended: bool = Field(
        default=False,
        description="Also those that ended in the past day, where the source is alertmanager.",
    )


class AlertPath(BaseModel):
    """Which alert."""

    alert_id: str = Field(
        max_length=MAX_NAME,
        pattern=NO_NUL,
        description="Its fingerprint, or its name: that of the latest one of this name.",
    )


class MutedView(BaseModel):
    """The silence because of which nobody is told of an alert."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    ends_at: datetime


class AlertView(BaseModel):
    """An alert. The text is whatever a rule says; the addresses are http or https."""

    name: str = Field(examples=["HighAPILatency"])
    severity: str = Field(examples=["warning"])
    status: Annotated[
        Literal["firing", "resolved", "expired"],
        Field(description="expired: not repeated in time, and its end was never told."),
    ]
    summary: str = Field(examples=["The API is slow"])
    description: str
    labels: _Pairs
    runbook_url: str | None
    generator_url: str | None = Field(description="The query behind it, in Prometheus.")
    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None = Field(description="null while it fires")
    heard_at: datetime = Field(description="When it was last told.")
    silence: MutedView | None = Field(
        description="Because of which nobody is told of it, the last one to end; null where there "
        "is none, and where Alertmanager cannot be asked. One with a pattern is known where that "
        "has words and | alone."
    )

    @classmethod
    def of(cls, alert: Any, silence: Silence | None = None) -> "AlertView":
        """Return the view of an alert that the service gave, and of its silence while it fires."""
        firing = alert.firing
        return cls(
            name=alert.labels.get("alertname", ""),
            severity=alert.labels.get("severity", ""),
            status="firing" if firing else "resolved" if alert.resolved else "expired",
            summary=alert.annotations.get("summary", ""),
            description=alert.annotations.get("description", ""),
            labels=alert.labels,
            runbook_url=web_address(alert.annotations.get("runbook_url", "")),
            generator_url=web_address(alert.generator_url),
            fingerprint=alert.fingerprint,
            starts_at=alert.starts_at,
            ends_at=None if firing else alert.ends_at,
            heard_at=alert.heard_at,
            silence=MutedView.model_validate(silence) if silence and firing else None,
        )


class AlertPage(PageView[AlertView]):
    """A page of alerts, newest first; `total` counts all that match."""

    source: Source | None = Field(
        description="Who says so: Alertmanager, which tells its alerts where VIBEBOX_ALERTS_TOKEN "
        "is set, or else Prometheus, which is asked; null where no setting names either."
    )
    missing: str | None = Field(description="Why no alert is known, where the source is null.")


class CutView(BaseModel):
    """Where the way of alerts is cut."""

    model_config = ConfigDict(from_attributes=True)

    link: str = Field(
        description="The first link that is broken: rule (Prometheus has no Watchdog), prometheus, "
        "sending (from Prometheus to Alertmanager), alertmanager, route (Alertmanager has it, and "
        "sends it nowhere that leads here), webhook (what it sends is refused, or gets nowhere) or "
        "unknown.",
        examples=["webhook"],
    )
    says: str
    next_step: str


class HeartbeatView(BaseModel):
    """Whether alerts arrive: the heartbeat of their way, from Prometheus by Alertmanager."""

    state: State = Field(
        description="off: none is expected; waiting: none has come yet, or none since the start of "
        "the service, before which nobody could hear it."
    )
    beat_at: datetime | None = Field(description="When the last one came.")
    heard_at: datetime | None = Field(
        description="When its alert was last told: later than beat_at where Alertmanager repeats "
        "what a Prometheus that is gone has said."
    )
    age_seconds: float | None = Field(
        description="Since the last one; while one is waited for, since it is."
    )
    limit_seconds: float = Field(description="Beyond which it is missing.", examples=[180])
    cut: CutView | None = Field(
        description="For operators, while it is missing, as soon as the agent has looked."
    )

    @classmethod
    def of(cls, pulse: Pulse) -> "HeartbeatView":
        """Return the view of what the service gave."""
        return cls(
            state=pulse.state,
            beat_at=pulse.beat_at,
            heard_at=pulse.heard_at,
            age_seconds=None if pulse.age is None else round(pulse.age, 3),
            limit_seconds=pulse.limit,
            cut=None if pulse.cut is None else CutView.model_validate(pulse.cut),
        )
