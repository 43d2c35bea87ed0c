"""Sends what containers wrote by OTLP, for the agent, which has the lines."""

import threading
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from app.core.log_receiver import Outcome, Reply, ShippedLine
from app.core.otlp_sender import Answer, Sender
from app.core.otlp_target import Signal, Target, resource, target
from app.core.settings import Settings
from app.exporter.log_messages import attributes, rejected, text

_SCOPE = "vibebox.containers"
_OF_THIS_HOST = ("host.name", "service.version")
"""Another host's agent may send the same line again: it is the same there."""
# Receivers say them of single requests, which are then never taken; of any other status somebody
# has to correct something, and the lines wait for that.
_UNWANTED = (400, 422)
_TOO_LARGE = 413


class OtlpReceiver:
    """A receiver of lines; see `app.core.log_receiver.Receiver`."""

    def __init__(self, to: Target, common: Mapping[str, str], stopping: threading.Event) -> None:
        """common: what every line's resource says; stopping: set when there is no more time."""
        self._sender = Sender(to, stopping)
        self._common = common

    def send(self, lines: Sequence[ShippedLine]) -> Reply:
        """Send the lines in one request."""
        return _reply(self._sender.send(request(lines, self._common)))

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()


def receivers(settings: Settings, url: str) -> Callable[[threading.Event], OtlpReceiver]:
    """Return what makes receivers at this address."""
    to = target(settings, Signal.LOGS, url)
    said = resource(settings)
    common = {
        **{name: value for name, value in said.items() if name not in _OF_THIS_HOST},
        "service.name": f"{said['service.name']}-environment",
    }
    return lambda stopping: OtlpReceiver(to, common, stopping)


def request(lines: Sequence[ShippedLine], common: Mapping[str, str]) -> bytes:
    """Return the body of a request with these lines, the same each time."""
    groups: dict[tuple[str, str | None], list[logs_pb2.LogRecord]] = {}
    for line in lines:
        groups.setdefault((line.stream, line.team), []).append(_record(line))
    message = ExportLogsServiceRequest(
        resource_logs=[
            logs_pb2.ResourceLogs(
                resource=Resource(attributes=attributes(_resource(stream, team, common))),
                scope_logs=[
                    logs_pb2.ScopeLogs(scope=InstrumentationScope(name=_SCOPE), log_records=found)
                ],
            )
            for (stream, team), found in groups.items()
        ]
    )
    return bytes(message.SerializeToString())


def _resource(stream: str, team: str | None, common: Mapping[str, str]) -> dict[str, str]:
    said = {**common, "log.iostream": stream}
    return said if team is None else {**said, "vibebox.team": team}


def _record(line: ShippedLine) -> logs_pb2.LogRecord:
    ids = {
        "seq": line.seq,
        "container.id": line.container_id,
        "environment_id": line.environment_id,
    }
    return logs_pb2.LogRecord(
        time_unix_nano=line.at_ns,
        observed_time_unix_nano=line.at_ns,
        body=AnyValue(string_value=text(line.text)),
        attributes=attributes(ids),
    )


def _reply(answer: Answer) -> Reply:
    if answer.retry:
        # A collector says 503 of a store that did not answer in time: that may have taken them.
        in_doubt = answer.in_doubt or (answer.status == 503 and answer.after is None)
        return Reply(Outcome.RETRY, answer.retry, in_doubt, answer.after)
    if not answer.refused:
        left, why = rejected(answer.accepted or b"")
        return Reply(Outcome.TAKEN, why, rejected=left)
    if answer.status == _TOO_LARGE:
        return Reply(Outcome.TOO_LARGE, answer.refused)
    unwanted = answer.status in _UNWANTED
    return Reply(Outcome.UNWANTED if unwanted else Outcome.CLOSED, answer.refused)
