"""Parts of a bundle on what was told to people: alerts, silences, rounds of the synthetic user."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from app.doctor.bundle.subject import MissingError, Subject, document, told
from app.doctor.looks import reading
from app.domain.alerts.heartbeat import WATCHDOG
from app.storage import Alert, ProbeRound

MOST_ALERTS = 200
_MOST_ROUNDS = 50


def alerts(subject: Subject) -> str:
    """Return what Alertmanager has told of, what Prometheus says fires, and what is silenced."""
    return document(
        {
            "received": told(lambda: _received(subject)),
            "firing": told(lambda: _firing(subject)),
            "silences": told(lambda: _silences(subject)),
        }
    )


def _received(subject: Subject) -> list[dict[str, Any]]:
    if subject.database is None:
        raise MissingError("There is no database.")
    query = select(Alert).order_by(Alert.heard_at.desc()).limit(MOST_ALERTS)
    with reading(subject.database) as session:
        return [
            {
                "labels": one.labels,
                "annotations": one.annotations,
                "starts_at": one.starts_at.isoformat(),
                "ends_at": one.ends_at.isoformat(),
                "resolved": one.resolved,
                "heard_at": one.heard_at.isoformat(),
            }
            for one in session.scalars(query)
        ]


def _firing(subject: Subject) -> list[dict[str, Any]]:
    if subject.stores is None or subject.stores.prometheus is None:
        raise MissingError("VIBEBOX_PROMETHEUS_URL is not set.")
    return [
        {"labels": dict(firing.labels), "starts_at": firing.starts_at.isoformat()}
        for rule in subject.stores.prometheus.rules()
        for firing in rule.firing
        if rule.name != WATCHDOG
    ]


def _silences(subject: Subject) -> list[dict[str, Any]]:
    if subject.stores is None or subject.stores.alertmanager is None:
        raise MissingError("VIBEBOX_ALERTMANAGER_URL is not set.")
    return [asdict(one) for one in subject.stores.alertmanager.silences()]


def rounds(subject: Subject) -> str:
    """Return the latest rounds of the synthetic user."""
    if subject.database is None:
        raise MissingError("There is no database.")
    query = select(ProbeRound).order_by(ProbeRound.started_at.desc()).limit(_MOST_ROUNDS)
    with reading(subject.database) as session:
        found = [
            {
                "place": one.place,
                "started_at": one.started_at.isoformat(),
                "finished_at": one.finished_at and one.finished_at.isoformat(),
                "step": one.step,
                "says": one.says,
                "next_step": one.next_step,
                "seconds": one.seconds,
            }
            for one in session.scalars(query)
        ]
    return document({"rounds": found})
