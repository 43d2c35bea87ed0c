"""What is printed for people."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.cli.client import output

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
Capture = pytest.CaptureFixture[str]


def printed(capture: Capture) -> list[str]:
    return capture.readouterr().out.splitlines()


def test_columns_stand_below_their_headings(capsys: Capture) -> None:
    output.table(("NAME", "STATUS", "AGE"), [("api", "running", "3m"), ("a-long-one", "error", "")])

    assert printed(capsys) == [
        "NAME        STATUS   AGE",
        "api         running  3m",
        "a-long-one  error",
    ]


def test_widest_column_is_cut_to_the_terminal(capsys: Capture) -> None:
    rows = [("api", "registry.example.org/tools/something:1.2.3", "3m")]
    output.table(("NAME", "IMAGE", "AGE"), rows, width=30)

    lines = printed(capsys)
    assert max(map(len, lines)) == 30
    assert lines[1] == "api   registry.example.o…  3m"


def test_what_fits_is_not_cut(capsys: Capture) -> None:
    output.table(("NAME", "IMAGE"), [("api", "x" * 70)], width=80)

    assert printed(capsys)[1].endswith("x" * 70)


def test_nothing_is_cut_where_there_is_no_terminal(capsys: Capture) -> None:
    output.table(("NAME", "IMAGE"), [("api", "x" * 300)])

    assert printed(capsys)[1].endswith("x" * 300)


def test_table_without_rows_is_its_headings(capsys: Capture) -> None:
    output.table(("NAME", "IMAGE"), [])

    assert printed(capsys) == ["NAME  IMAGE"]


def test_pairs_leave_out_what_is_not_there(capsys: Capture) -> None:
    output.pairs({"Name": "api", "Error": None, "Ports": ["1", "2"], "Env": [], "Exit": 0})

    assert printed(capsys) == ["Name   api", "Ports  1", "       2", "Exit   0"]


def test_terminal_is_not_steered_by_values() -> None:
    assert output.plain("a\x1b[2Jb\nc") == "a\ufffd[2Jb\ufffdc"
    assert output.plain("grün ✓") == "grün ✓"


class Terminal:
    """Standard output as if it were a terminal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setattr(
            "app.cli.client.output.click.echo", lambda text: self.lines.append(text)
        )
        self.lines: list[str] = []


def test_colours_on_a_terminal_only_and_not_against_the_will(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.pairs({"Status": "running"})
    assert printed(capsys) == ["Status  running"]

    terminal = Terminal(monkeypatch)
    output.pairs({"Status": "running"})
    monkeypatch.setenv("NO_COLOR", "1")
    output.pairs({"Status": "running"})

    assert terminal.lines == ["Status  \x1b[32mrunning\x1b[0m", "Status  running"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (8 * 2**20, "8.0 MiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert output.size(count) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, ""),
        ("2026-01-31T12:00:00Z", "0s"),
        ("2026-01-31T11:59:01Z", "59s"),
        ("2026-01-31T11:00:30Z", "59m"),
        ("2026-01-30T13:00:00Z", "23h"),
        ("2026-01-01T12:00:00Z", "30d"),
        ("2026-01-31T20:00:00Z", "in 8h"),
        ("2026-01-31T19:59:50Z", "in 8h"),
        ("2026-02-01T11:59:50Z", "in 1d"),
        ("2026-02-01T01:00:00Z", "in 13h"),
        ("2026-01-31T12:00:10Z", "in 10s"),
        ("2026-01-31T12:00:00.5Z", "0s"),
    ],
)
def test_ages(moment: str | None, text: str) -> None:
    assert output.age(moment, NOW) == text


def test_ports_are_shown_as_they_are_typed() -> None:
    asked: list[dict[str, Any]] = [
        {"container_port": 8000, "host_port": None, "protocol": "tcp"},
        {"container_port": 53, "host_port": 5353, "protocol": "udp"},
    ]
    published = [{"container_port": 8000, "host_port": 32768, "protocol": "tcp"}]

    assert output.ports({"ports": asked, "published_ports": []}) == ["8000", "5353:53/udp"]
    assert output.ports({"ports": asked, "published_ports": published}) == ["32768:8000"]
