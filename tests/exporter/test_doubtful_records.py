"""Lines of the log whose answer was lost are sent again, and counted as in doubt."""

import json
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from app.core import signals
from app.core.settings import Settings
from app.exporter import exporters
from app.exporter.log_exporter import LogExporter
from app.tracing.rings import RingWriter
from tests.backends.otlp_sink import Behaviour, OtlpSink

LINE = {"time": "t", "level": "info", "logger": "a", "event": "e", "worker": "web-0", "pid": 1}


def test_a_lost_answer_is_counted(
    tmp_path: Path, sink: OtlpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporters, "_FIRST_PAUSE", 0.05)
    ended: list[tuple[str, int]] = []

    def note(_sender: Any, *, result: str, number: int) -> None:
        ended.append((result, number))

    settings = Settings(traces_dir=str(tmp_path))
    settings.logs_path.mkdir(parents=True, exist_ok=True)
    ring = RingWriter(settings.logs_path, 16 * 65536)
    for at_ns in (1, 2):
        assert ring.write(struct.pack("<Q", at_ns) + json.dumps(LINE).encode())
    sink.behave_with_logs(Behaviour(loses_answer=True))
    stopping = threading.Event()
    exporter = LogExporter(settings, f"{sink.url}/v1/logs", stopping)
    thread = threading.Thread(target=exporter.run, args=(stopping,))
    with signals.log_records_ended.connected_to(note):
        thread.start()
        while ("exported", 2) not in ended:
            assert thread.is_alive()
            thread.join(0.05)
        stopping.set()
        thread.join(20)
    exporter.close()
    ring.close()
    assert [one for one in ended if one[1]] == [("doubtful", 2), ("exported", 2)]
    assert [line.at_ns for line in sink.records] == [1, 2, 1, 2]
