"""Writes groups of rules as the YAML that Prometheus reads."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from monitoring.rules import alerts, openslo, recording, slo, sources
from monitoring.rules.rule import Group, Links

DIRECTORY = Path(__file__).parents[1] / "prometheus"
FILES = {"recording.yml": recording.GROUPS, "slo.yml": slo.GROUPS, "alerts.yml": alerts.GROUPS}
HEADER = "# Written by `make generate` from the tables of monitoring/rules; do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Expressions of several lines stay readable."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def document(groups: Iterable[Group], links: Links) -> dict[str, Any]:
    """Return the groups as Prometheus reads them, before they become YAML."""
    return {
        "groups": [
            {"name": group.name, "rules": [rule.rule(links) for rule in group.rules]}
            for group in groups
        ]
    }


def text(value: Any) -> str:
    """Return YAML that a person can read, in the order of the tables."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


def files(links: Links) -> dict[str, str]:
    """Return the text of each generated file, by its name."""
    return {name: HEADER + text(document(groups, links)) for name, groups in FILES.items()}


OPENSLO = DIRECTORY.parent / "openslo.yml"


def objectives() -> str:
    """Return the text of the OpenSLO document."""
    return HEADER + "---\n".join(map(text, openslo.documents()))


GUIDE = Path(__file__).parents[1] / "README.md"
_BEGIN, _END = "<!-- sources: begin -->\n", "<!-- sources: end -->\n"


def write_guide(guide: Path = GUIDE) -> None:
    """Write the table of sources into the guide, between its marks."""
    before, _, rest = guide.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    guide.write_text(f"{before}{_BEGIN}\n{sources.table()}\n{_END}{after}")


def write(directory: Path, links: Links) -> None:
    """Write the generated files."""
    for name, content in files(links).items():
        (directory / name).write_text(content)
