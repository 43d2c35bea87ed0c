"""How colours look: their contrast, and their distance for eyes that see fewer of them.

Contrast is that of WCAG 2; the matrices are those of Machado, Oliveira and Fernandes (2009) for a
severity of 1, applied to linear RGB; the distance is CIE 1976 in L*a*b* (about 2 is just seen).
"""

import math

Triple = tuple[float, float, float]

EYES: dict[str, tuple[Triple, Triple, Triple]] = {
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
}
_TO_XYZ = (
    (0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505),
    (0.2126, 0.7152, 0.0722),
    (0.0193 / 1.089, 0.1192 / 1.089, 0.9505 / 1.089),
)


def contrast(one: str, other: str) -> float:
    """Return how many times lighter the lighter of two colours is."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def distance(one: str, other: str, eyes: str) -> float:
    """Return how different two colours look."""
    return math.dist(_lab(one, eyes), _lab(other, eyes))


def _linear(color: str) -> Triple:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return red, green, blue


def _luminance(color: str) -> float:
    return _times(_TO_XYZ, _linear(color))[1]


def _lab(color: str, eyes: str) -> Triple:
    red, green, blue = (max(0.0, part) for part in _times(EYES[eyes], _linear(color)))
    x, y, z = map(_rooted, _times(_TO_XYZ, (red, green, blue)))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _rooted(part: float) -> float:
    return math.cbrt(part) if part > 0.008856 else 7.787 * part + 16 / 116


def _times(matrix: tuple[Triple, Triple, Triple], vector: Triple) -> Triple:
    x, y, z = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return x, y, z
