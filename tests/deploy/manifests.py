"""The Kubernetes manifests, read."""

from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).parents[2] / "deploy" / "kubernetes"
Object = dict[str, Any]


def objects() -> list[Object]:
    """Return every object of every file."""
    files = sorted(DIRECTORY.glob("*.yaml"))
    return [found for file in files for found in yaml.safe_load_all(file.read_text())]


def the(kind: str, name: str) -> Object:
    """Return the one object of that kind whose name begins so."""
    (found,) = (
        one
        for one in objects()
        if one["kind"] == kind and str(one["metadata"]["name"]).startswith(name)
    )
    return found


def containers() -> dict[str, Object]:
    """Return the containers of all pods by name."""
    pods = [
        one["spec"]["template"]["spec"] for one in objects() if "template" in one.get("spec", {})
    ]
    return {container["name"]: container for pod in pods for container in pod["containers"]}
