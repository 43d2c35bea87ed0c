"""`vibebox alerts`: what fires, and that nobody is told of it for a while."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from app.cli.client import output
from app.cli.client.lookup import by_id
from app.cli.client.options import as_json, connected
from app.cli.client.param_types import Duration

if TYPE_CHECKING:
    from app.cli.client.api import Api

_SILENCES = "/alerts/silences"
# By whether the value is to be equal, and is a regular expression.
_OPERATORS = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}


@click.group()
def alerts() -> None:
    """List alerts, and silence them (that: operators)."""


@alerts.command("ls")
@click.option("--ended", is_flag=True, help="Also those that ended in the past day.")
@as_json
@connected
def list_alerts(api: "Api", ended: bool, as_json: bool) -> None:
    """List the alerts that fire, as Alertmanager or else Prometheus tells them."""
    # One that fires anew has the fingerprint that it had.
    key = ("fingerprint", "starts_at")
    listed = api.all("/alerts", key=key, **({"ended": "true"} if ended else {}))
    if as_json:
        output.document(listed)
        return
    if listed.get("missing"):
        output.note(f"No alerts: {listed['missing']}")
        return
    if ended and listed.get("source") == "prometheus":
        output.note("Prometheus does not tell which alerts have ended.")
    rows = [
        (
            item["name"],
            item["severity"],
            _status(item),
            output.age(item["starts_at"]),
            item["summary"],
            item["fingerprint"],
        )
        for item in listed["items"]
    ]
    output.table(("NAME", "SEVERITY", "STATUS", "SINCE", "SUMMARY", "FINGERPRINT"), rows)


@alerts.command("silence")
@click.argument("alert_id", metavar="ALERT")
@click.option(
    "--for",
    "seconds",
    type=Duration("1m", "30d"),
    default="2h",
    show_default=True,
    help="How long from now on, from 1m to 30d.",
)
@click.option("--comment", required=True, help="Why, for who is on duty next.")
@as_json
@connected
def silence(api: "Api", alert_id: str, seconds: timedelta, comment: str, as_json: bool) -> None:
    """Have Alertmanager tell nobody of ALERT for a while.

    ALERT is the name of one that fires or has within a day, which silences all of that name; or a
    fingerprint, which silences those with all of its labels. Where the service asks Prometheus, the
    alert need not fire.
    """
    body = {
        "alert_id": alert_id,
        "seconds": round(seconds.total_seconds()),
        "comment": comment,
    }
    made = api.post(_SILENCES, body)
    if as_json:
        output.document(made)
        return
    output.note(f"{alert_id} is silenced until {made['ends_at']}: {_conditions(made)}.")
    click.echo(made["id"])


@alerts.command("silences")
@as_json
@connected
def list_silences(api: "Api", as_json: bool) -> None:
    """List the silences that are not over, whoever made them."""
    listed = api.get(_SILENCES)
    if as_json:
        output.document(listed)
        return
    rows = [
        (
            item["id"],
            item["state"],
            output.age(item["ends_at"]),
            item["created_by"],
            item["comment"],
            _conditions(item),
        )
        for item in listed["items"]
    ]
    output.table(("ID", "STATE", "ENDS", "BY", "WHY", "ALERTS"), rows)


@alerts.command("expire")
@click.argument("silence_id", metavar="ID")
@connected
def expire(api: "Api", silence_id: str) -> None:
    """End the silence of that id, or of its beginning: who is told of its alerts is told again."""
    from urllib.parse import quote

    missing = f"There is no one silence {silence_id!r} that is not over."
    step = "`vibebox alerts silences` lists them."
    found = by_id(api.get(_SILENCES)["items"], silence_id, missing, step)
    api.delete(f"{_SILENCES}/{quote(found['id'], safe='')}")
    output.note("The silence has ended.")


def _status(alert: dict[str, Any]) -> str:
    """Return what becomes of an alert: one that nobody is told of says until when."""
    silence = alert.get("silence")
    if silence is None:
        return str(alert["status"])
    return f"silenced until {datetime.fromisoformat(silence['ends_at']):%Y-%m-%dT%H:%MZ}"


def _conditions(silence: dict[str, Any]) -> str:
    return " ".join(
        f"{one['name']}{_OPERATORS[one['is_equal'], one['is_regex']]}{one['value']}"
        for one in silence["matchers"]
    )
