"""The fields of native buckets within the message of a histogram.

Only buckets that are not empty are told: in spans of those that stand beside one another, each so
many places behind the one before, and in differences from one to the next.
"""

from prefork_metrics.directory.native_records import BOUNDS, LEAST, SCHEMA, Counts
from prefork_metrics.protobuf import wire

_SCHEMA, _ZERO_THRESHOLD, _ZERO_COUNT, _SPAN, _DELTA = 5, 6, 7, 12, 13
_OFFSET, _LENGTH = 1, 2
_FIRST = LEAST * 2**SCHEMA
"""The index of the bucket that ends at the least bound."""
_ABOVE_ALL = 1024 * 2**SCHEMA + 1
"""The index of the bucket that ends at infinity."""


def buckets(counts: Counts) -> bytes:
    """Return the fields of these counts."""
    content = wire.integer(_SCHEMA, wire.zigzag(SCHEMA))
    content += wire.double(_ZERO_THRESHOLD, BOUNDS[0])
    content += wire.integer(_ZERO_COUNT, int(counts[0]))
    spans, deltas = _spans(counts)
    for offset, length in spans:
        span = wire.integer(_OFFSET, wire.zigzag(offset)) + wire.integer(_LENGTH, length)
        content += wire.message(_SPAN, span)
    return content + wire.packed(_DELTA, map(wire.zigzag, deltas)) if deltas else content


def _spans(counts: Counts) -> tuple[list[tuple[int, int]], list[int]]:
    spans: list[tuple[int, int]] = []
    deltas: list[int] = []
    behind, last = 0, 0
    for place, count in enumerate(counts[1:], 1):
        if not count:
            continue
        index = _FIRST + place if place < len(BOUNDS) else _ABOVE_ALL
        if spans and index == behind:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((index - behind, 1))
        behind = index + 1
        deltas.append(int(count) - last)
        last = int(count)
    return spans, deltas
