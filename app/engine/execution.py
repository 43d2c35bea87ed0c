"""One command in a container, from its creation to its exit code."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from app.core.deadline import required
from app.core.errors import CommandRunawayError, EngineError, ExecutableMissingError
from app.core.trace_context import traceparent
from app.engine.client import EngineClient
from app.engine.containers import identifier
from app.engine.frames import FrameSplitter
from app.engine.translation import names_missing_executable
from app.engine.values import ExecResult

_CHUNK = 64 * 1024
# Nothing that we run prints as much: what does is read no further.
MOST_PRINTED = 16 * 1024 * 1024
_POLL_SECONDS = 0.02

# Exit codes that Docker gives an exec whose process it could not start (126; newer engines 127).
NOT_STARTED = (126, 127)


def run(
    client: EngineClient,
    container: str,
    argv: Sequence[str],
    begun: Callable[[str], object] = lambda exec_id: None,
) -> ExecResult:
    """Run `argv` to its end under the current deadline; the output is read, and some of it kept.

    `begun` hears the id of the command before it is started.
    Raises: ExecutableMissingError without a detail for users, CommandRunawayError for one that
    prints without end, and whatever the driver raises.
    """
    # A command that traces itself goes on with the trace of whoever asks for it.
    header = traceparent()
    env = None if header is None else {"TRACEPARENT": header}
    exec_id = identifier(client.exec_create(container, list(argv), environment=env))
    begun(exec_id)
    output, printed = FrameSplitter(), 0
    with client.start_exec(exec_id) as response:
        for chunk in response.iter_content(_CHUNK):
            output.feed(chunk)
            printed += len(chunk)
            if printed > MOST_PRINTED:
                raise CommandRunawayError
    exit_code = _exit_code(client, exec_id)
    if exit_code in NOT_STARTED and _blames_executable(output):
        raise ExecutableMissingError()
    return ExecResult(exit_code, output.stdout, output.stderr, output.truncated)


def _exit_code(client: EngineClient, exec_id: str) -> int:
    """Wait for the exit code: output can end before the command does, and is known first."""
    while True:
        answer: dict[str, Any] = client.exec_inspect(exec_id)
        try:
            if not answer["Running"] and answer["ExitCode"] is not None:
                return int(answer["ExitCode"])
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError("Docker Engine described a command in an unknown way.") from error
        time.sleep(min(_POLL_SECONDS, required()))


def _blames_executable(output: FrameSplitter) -> bool:
    """Whether the engine says, where the command's output would be, that there is no command.

    It does so in the command's own stream. A command that prints the same words and exits with
    the same code is taken for a missing one, which harms nobody but itself.
    """
    said = output.engine_error or output.stdout or output.stderr
    text = said.decode(errors="replace")
    return text.startswith("OCI runtime exec failed") and names_missing_executable(text)
