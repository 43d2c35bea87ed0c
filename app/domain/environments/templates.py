"""Templates of environments: a few that come along, and those of the operator's file.

A template fills what a new environment leaves out. The file is a JSON list of objects; one with
the name of a built-in template takes its place.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.core.errors import TemplateNotFoundError
from app.core.sentences import place, sentence
from app.domain.fields import (
    DEFAULT_VOLUME_PATH,
    Cpus,
    Image,
    Memory,
    Name,
    Ports,
    Variables,
    VolumePath,
)


class Template(BaseModel):
    """What a new environment is filled with; a limit that is null is the service's default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    description: str = Field(default="", max_length=500, examples=["Python with pip"])
    image: Image
    cpu_limit: Cpus | None = None
    memory_limit_mb: Memory | None = None
    env: Variables = Field(default_factory=dict)
    ports: Ports = Field(default_factory=list)
    volume_path: VolumePath | None = DEFAULT_VOLUME_PATH

    def values(self) -> dict[str, Any]:
        """Return the fields of an environment that the template has something to say on."""
        fields = self.model_dump(exclude={"name", "description"})
        open_limits = [name for name in ("cpu_limit", "memory_limit_mb") if fields[name] is None]
        return {name: value for name, value in fields.items() if name not in open_limits}


# Images are named without a registry, so that the host's own settings decide where from.
_BUILT_IN = (
    Template(
        name="python",
        description="Python with pip, on Debian.",
        image="python:3.12-slim",
        env={"PYTHONUNBUFFERED": "1"},
    ),
    Template(name="node", description="Node.js with npm, on Debian.", image="node:22-slim"),
    Template(name="shell", description="A plain shell, on Debian.", image="debian:stable-slim"),
)
_FILE = TypeAdapter(list[Template])


class Templates:
    """All templates by name, in the order in which they are listed."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._templates = dict(templates)

    def all(self) -> list[Template]:
        """Return every template."""
        return list(self._templates.values())

    def get(self, name: str) -> Template:
        """Return one template. Raises: TemplateNotFoundError."""
        try:
            return self._templates[name]
        except KeyError:
            raise TemplateNotFoundError from None


def load(file: str | None) -> Templates:
    """Return the built-in templates and those of `file`.

    Raises: ValueError that names the file and the mistake in it.
    """
    found = {template.name: template for template in _BUILT_IN}
    if file is not None:
        found |= {template.name: template for template in _read(file)}
    return Templates(found)


def _read(file: str) -> list[Template]:
    try:
        with open(file, "rb") as opened:
            templates = _FILE.validate_python(json.load(opened))
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{file}: {place(first)}: {sentence(first)}") from error
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    names = [template.name for template in templates]
    if len(set(names)) < len(names):
        raise ValueError(f"{file}: each name may stand there once")
    return templates
