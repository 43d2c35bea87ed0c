"""The protocol and its table of operations."""

import inspect
from typing import get_args

from app.engine import OPERATIONS, DockerEngine, Engine, Operation


def _public(kind: type) -> set[str]:
    members = inspect.getmembers(kind, inspect.isfunction)
    return {name for name, _ in members if not name.startswith("_")}


UNMEASURED = {"clock", "close", "verify"}
"""What asks nothing of the engine, and what checks ask of it every few seconds."""


def test_every_method_of_the_protocol_has_an_operation() -> None:
    assert set(OPERATIONS) == _public(Engine) - UNMEASURED


def test_operations_are_those_of_the_metric() -> None:
    assert set(OPERATIONS.values()) == set(get_args(Operation)) == {
        "create", "start", "stop", "restart", "kill", "pause", "unpause", "update", "remove",
        "pull", "exec", "inspect", "list", "logs", "events", "stats", "volume", "ping",
    }  # fmt: skip
    assert OPERATIONS["inspect_image"] == OPERATIONS["inspect"] == "inspect"


def test_docker_engine_has_no_unmeasured_method() -> None:
    assert _public(DockerEngine) == _public(Engine)


def test_docker_engine_implements_the_protocol() -> None:
    engine: Engine = DockerEngine("unix:///nowhere")
    assert engine is not None
