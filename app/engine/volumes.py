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

    def disk_usage(self) -> dict[str, DiskUse | None]:
        """See `Engine.disk_usage`; through millions of files an engine walks for long."""
        with self._call(self._walk_timeout) as client, describing("the use of disks"):
            return disk_uses(client.df())


def disk_uses(answer: Any) -> dict[str, DiskUse | None]:
    """Return what is in an answer of GET /system/df, by environment; None where a size is not."""
    found: dict[str, DiskUse | None] = {}

    def add(of: Any, volume: int, layer: int) -> None:
        if (environment := environment_of(of)) is None:
            return
        before = found.get(environment, DiskUse(0, 0))
        # -1 is Docker's word for a size that it cannot tell.
        if before is None or min(volume, layer) < 0:
            found[environment] = None
        else:
            found[environment] = DiskUse(before.volume_bytes + volume, before.layer_bytes + layer)

    for volume in answer["Volumes"] or []:
        add(volume, int((volume.get("UsageData") or {}).get("Size", -1)), 0)
    for container in answer["Containers"] or []:
        add(container, 0, int(container.get("SizeRw") or 0))  # one of 0 is left out
    return found
