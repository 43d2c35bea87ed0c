"""What monitoring/README.md tells people to type: commands, and queries."""

import re
from pathlib import Path

DOCUMENT = (Path(__file__).parents[2] / "monitoring" / "README.md").read_text()


def commands() -> dict[str, str]:
    """Return the blocks of commands that a test runs, by number and heading, in their order."""
    found: dict[str, str] = {}
    heading = ""
    for part in re.split(r"^(#+ [^\n]*|```sh\n.*?^```)$", DOCUMENT, flags=re.MULTILINE | re.DOTALL):
        if part.startswith("#"):
            heading = part.lstrip("# ")
        elif part.startswith("```sh"):
            found[f"{len(found) + 1}: {heading}"] = part.removeprefix("```sh\n").removesuffix("```")
    return found


def queries() -> list[str]:
    """Return every query: a line each of the blocks, and those in a sentence or a command."""
    blocks = re.findall(r"^```promql\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line and line[0] != "#"]
    asked = re.findall(r"--data-urlencode 'query=([^']*)'", DOCUMENT)
    spoken = re.findall(r"`([^`\n]*(?:\{\w+=[^`\n]*|\(\w[^`\n]*\[\w+\][^`\n]*))`", DOCUMENT)
    return sorted({*lines, *asked, *spoken})
