"""The gateway's operations on named volumes."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from docker.errors import APIError

from app.engine.answers import describing
from app.engine.calls import NAME, EngineCalls
from app.engine.containers import environment_of, instance_of
from app.engine.values import ENVIRONMENT_LABEL, DiskUse, VolumeSummary


class Volumes(EngineCalls):
    """Named volumes, which outlive the containers that use them."""

    def volume_create(self, name: str, labels: Mapping[str, str]) -> None:
        """See `Engine.volume_create`."""
        with self._call(self._query_timeout) as client:
            client.create_volume(name, labels=dict(labels))

    def volume_remove(self, name: str) -> None:
        """See `Engine.volume_remove`; what is in it may be much, so it gets the longer time."""
        if not NAME.fullmatch(name):
            return
        with self._call(self._lifecycle_timeout) as client:
            try:
                client.remove_volume(name)
            except APIError as error:
                if error.status_code != HTTPStatus.NOT_FOUND:
                    raise

    def list_volumes(self) -> list[VolumeSummary]:
        """See `Engine.list_volumes`."""
        with self._call(self._query_timeout) as client, describing("a volume"):
            answer = client.volumes(filters={"label": ENVIRONMENT_LABEL})
            return [
                VolumeSummary(str(volume["Name"]), environment_of(volume), instance_of(volume))
                for volume in answer["Volumes"] or []
            ]

    def disk_usage(self) -> dict[str, DiskUse]:
        """See `Engine.disk_usage`; it walks through many files, so it gets the longer time."""
        with self._call(self._lifecycle_timeout) as client, describing("the use of disks"):
            return disk_uses(client.df())


def disk_uses(answer: Any) -> dict[str, DiskUse]:
    """Return what is in an answer of GET /system/df, by environment."""
    found: dict[str, DiskUse] = {}
    for volume in answer["Volumes"] or []:
        if (environment := environment_of(volume)) is not None:
            # -1 is Docker's word for a size that it cannot tell.
            size = max(0, int((volume.get("UsageData") or {}).get("Size", 0)))
            before = found.get(environment, DiskUse(0, 0))
            found[environment] = before._replace(volume_bytes=before.volume_bytes + size)
    for container in answer["Containers"] or []:
        if (environment := environment_of(container)) is not None:
            before = found.get(environment, DiskUse(0, 0))
            size = max(0, int(container.get("SizeRw") or 0))
            found[environment] = before._replace(layer_bytes=before.layer_bytes + size)
    return found
