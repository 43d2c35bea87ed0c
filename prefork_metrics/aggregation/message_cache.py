"""The scrape as protocol buffers, in which only the series that changed are written anew."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefork_metrics.aggregation.merge_plan import MergePlan
from prefork_metrics.directory.native_records import Counts
from prefork_metrics.exemplars import Exemplar
from prefork_metrics.outline import Labels
from prefork_metrics.protobuf.family import FamilyMessage


class MessageCache:
    """The messages of all families, their names escaped in one way."""

    def __init__(self, escaping: str) -> None:
        self._escaping = escaping
        self._plan: MergePlan | None = None
        self._messages: list[FamilyMessage] = []

    def render(
        self,
        plan: MergePlan,
        samples: Sequence[Any],
        starts: Sequence[float],
        exemplars: Mapping[int, Exemplar],
        natives: Mapping[tuple[str, Labels], Counts],
    ) -> bytes:
        """Return the messages with these values; `starts` of each, `exemplars` by their numbers,
        `natives` by family and labels."""
        if plan is not self._plan:
            self._replan(plan, starts)
        parts = []
        before = 0
        for message in self._messages:
            end = before + len(message.outline.samples)
            of_family = {
                number - before: exemplar
                for number, exemplar in exemplars.items()
                if before <= number < end
            }
            parts.append(message.encoded(samples[before:end], of_family, natives))
            before = end
        return b"".join(parts)

    def _replan(self, plan: MergePlan, starts: Sequence[float]) -> None:
        known = {message.outline.name: message for message in self._messages}
        self._messages = []
        before = 0
        for outline in plan.outlines:
            end = before + len(outline.samples)
            message = known.get(outline.name)
            if message is None or (message.outline, message.starts) != (
                outline,
                starts[before:end],
            ):
                message = FamilyMessage(outline, starts[before:end], self._escaping)
            self._messages.append(message)
            before = end
        self._plan = plan
