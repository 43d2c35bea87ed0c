"""What is left out of one file, because its series was removed: see `directory.removed`."""

from collections.abc import Sequence

from prefork_metrics.aggregation.keys import Key, Keys
from prefork_metrics.directory.removed import Before, groups


class LeftOut:
    """What a member had counted of removed series. Attributes: before; shown (the numbers of the
    keys that are shown, in their order)."""

    def __init__(self, before: Before, known: Keys) -> None:
        self.before = before
        self.shown: Sequence[int] = ()
        self._groups = [
            {known.parse(key.encode()): before[key] for key in group} for group in groups(before)
        ]
        self._hidden: set[Key] = set()
        self._number = -1

    def apply(
        self, keys: Sequence[Key], values: tuple[float, ...], paired: bool
    ) -> tuple[tuple[float, ...], bool]:
        """Return the values that are shown, and whether those are others than the last time.

        keys: all that the file holds. paired: values come with their times, as gauges do, and are
        shown as they are; others are what was counted since.
        """
        places = {key: number for number, key in enumerate(keys)}
        size = 2 if paired else 1
        hidden: set[Key] = set()
        counted = list(values)
        for group in self._groups:
            found = {key: before for key, before in group.items() if key in places}
            unchanged = all(
                values[places[key] * size : (places[key] + 1) * size] == before[:size]
                for key, before in found.items()
            )
            if unchanged:
                hidden.update(found)
            elif not paired:
                for key, before in found.items():
                    counted[places[key]] -= before[0]
        changed = hidden != self._hidden or len(keys) != self._number
        if changed:
            self._hidden, self._number = hidden, len(keys)
            self.shown = [number for number, key in enumerate(keys) if key not in hidden]
        return tuple(
            counted[number * size + offset] for number in self.shown for offset in range(size)
        ), changed
