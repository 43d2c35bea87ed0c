"""What the library adds to a configuration of gunicorn."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prefork_metrics import gunicorn
from prefork_metrics.gunicorn import install


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    return tmp_path / "metrics"


def server(**more: Any) -> Any:
    """As much of gunicorn's arbiter as a start needs."""
    config = SimpleNamespace(bind=["127.0.0.1:0"], uid=os.geteuid(), gid=os.getegid())
    return SimpleNamespace(cfg=config, master_pid=0, reexec_pid=0, WORKERS={}, **more)


def test_hooks_that_are_there_are_called_too_with_their_arguments(directory: Path) -> None:
    called: list[tuple[str, int]] = []
    config: dict[str, Any] = {
        "on_starting": lambda server: called.append(("on_starting", 1)),
        "pre_fork": lambda server, worker: called.append((worker.place, 2)),
    }
    install(config)
    arbiter, worker = server(), SimpleNamespace()
    config["on_starting"](arbiter)
    config["pre_fork"](arbiter, worker)
    config["on_exit"](arbiter)

    # The worker has its place when the configuration's own hook is called.
    assert called == [("on_starting", 1), ("web-0", 2)]
    assert directory.is_dir()


def test_free_places_are_taken_again() -> None:
    config: dict[str, Any] = {}
    install(config)
    arbiter = server()
    config["on_starting"](arbiter)
    arbiter.WORKERS = {1: SimpleNamespace(place="web-0"), 3: SimpleNamespace(place="web-2")}
    worker = SimpleNamespace()
    config["pre_fork"](arbiter, worker)
    config["on_exit"](arbiter)
    assert worker.place == "web-1"


def test_a_start_that_the_configuration_refuses_touches_nothing(directory: Path) -> None:
    def refuse(server: Any) -> None:
        raise SystemExit(3)

    config: dict[str, Any] = {"on_starting": refuse}
    install(config)
    with pytest.raises(SystemExit):
        config["on_starting"](server())
    assert not directory.exists()


def test_a_directory_that_cannot_be_used_refuses_the_start_in_a_sentence(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory.mkdir()
    (directory / "notes.txt").touch()
    config: dict[str, Any] = {}
    install(config)
    with pytest.raises(SystemExit) as ended:
        config["on_starting"](server())
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert line.startswith("gunicorn cannot start: ") and "holds other things (notes.txt)" in line


def test_a_hook_that_fails_keeps_no_count_from_the_archive(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(server: Any, worker: Any) -> None:
        raise RuntimeError("bug")

    caplog.set_level("INFO")
    config: dict[str, Any] = {"child_exit": fail, "pre_fork": fail}
    install(config)
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")  # this process itself counts in memory
    arbiter = server()
    config["on_starting"](arbiter)
    worker = SimpleNamespace(pid=1, age=1, aborted=False)
    for hook in ("pre_fork", "child_exit"):
        with pytest.raises(RuntimeError):  # as gunicorn would have it without us
            config[hook](arbiter, worker)
    config["on_exit"](arbiter)
    assert worker.place == "web-0"
    assert [record.message for record in caplog.records] == [
        "metrics directory prepared",
        "worker ended",
    ]


def test_without_a_directory_one_is_made_at_the_start_and_deleted_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config: dict[str, Any] = {}
    install(config)
    made = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    assert made.parent == tmp_path
    arbiter = server()
    config["on_starting"](arbiter)
    assert made.is_dir()
    config["on_exit"](arbiter)
    assert not made.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give something away")
def test_workers_of_another_user_may_write(directory: Path) -> None:
    config: dict[str, Any] = {}
    install(config)
    arbiter = server()
    arbiter.cfg.uid = arbiter.cfg.gid = 65534
    config["on_starting"](arbiter)
    config["on_exit"](arbiter)
    assert (directory.stat().st_uid, directory.stat().st_gid) == (65534, 65534)


def test_workers_that_tell_nothing_have_no_readings() -> None:
    told = gunicorn._readings(SimpleNamespace())
    assert (told.threads, told.queued, told.oldest, told.connections) == (None,) * 4
