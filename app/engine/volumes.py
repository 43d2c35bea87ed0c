"""The gateway's operations on named volumes."""

from collections.abc import Mapping
from http import HTTPStatus

from docker.errors import APIError

from app.engine.answers import describing
from app.engine.calls import NAME, EngineCalls
from app.engine.containers import environment_of, instance_of
from app.engine.values import ENVIRONMENT_LABEL, VolumeSummary


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
