"""What decides across processes asks the database for the time, not the host it runs on."""

import ast
from pathlib import Path

import app

ROOT = Path(app.__file__).parent

SHOWN_ONLY = {
    "cli/client/output.py": "the client's own host: ages that it prints",
    "cli/client/param_types.py": "the client's own host: what `8h` from now is",
    "web/health/routes.py": "the time that a health route shows",
    "storage/migrations/versions/0002_agent.py": "when a migration made a row: only shown",
    "storage/clock.py": "it is the clock, on SQLite",
    "storage/models/base.py": "defines it",
    "storage/models/accounts.py": "when a row was made: only shown",
    "storage/models/alerts.py": "when a row was made: only shown",
    "storage/models/environments.py": "when a row was made: only shown",
    "storage/models/extensions.py": "when a row was made: only shown",
    "storage/models/service.py": "when a row was made: only shown",
    "storage/models/sessions.py": "when a row was made: only shown",
    "domain/environments/changes.py": "when a record was changed: only shown",
    "agent/reconcile/diff.py": "when an end was noticed that nobody saw: only shown",
    "domain/environments/exits.py": "when an end was noticed that nobody saw: only shown",
    "domain/extensions/service.py": "when a row was made or changed: only shown",
    "agent/extensions/work.py": "when a row was changed: only shown",
    "explaining/own_lines.py": "until when lines are asked for, which their writers' clocks have",
    "explaining/service.py": "until when lines are asked for, which their writers' clocks have",
    "cli/support_bundle.py": "names a file",
    "doctor/bundle/parts.py": "until when lines are asked for, which their writers' clocks have",
    "doctor/examination.py": "when it was examined: only shown",
    "doctor/checks/clocks.py": "what it compares with other clocks",
    "doctor/checks/alertmanager.py": "against when Prometheus says that an alert began",
    "domain/alerts/sources.py": "when Prometheus was asked: only shown",
    "domain/projects/service.py": "when a row was made: only shown",
    "domain/teams/service.py": "when a row was made: only shown",
    "domain/accounts/registration.py": "when a row was made: only shown",
    "domain/accounts/keys.py": "when a row was made: only shown",
    "probing/visit.py": "a client's own host: what an hour from now is",
}
"""Modules that may read their own host's clock, and why that decides nothing elsewhere."""


def readers() -> set[str]:
    """Return the modules that read the wall clock of the process."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
            if name in {"utc_now", "utcnow"} or _reads_wall_clock(node):
                found.add(path.relative_to(ROOT).as_posix())
    return found


def _reads_wall_clock(node: ast.AST) -> bool:
    """Tell whether the node is `datetime.now(…)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "now"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "datetime"
    )


def test_only_what_is_shown_is_of_the_hosts_clock() -> None:
    assert readers() - set(SHOWN_ONLY) == set()


def test_the_list_can_only_shrink() -> None:
    assert set(SHOWN_ONLY) - readers() == set()
