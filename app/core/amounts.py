"""How amounts of what has quotas are named and written, the same wherever people read them."""

from decimal import Decimal

RESOURCES = {
    "environments": "environments",
    "cpus": "CPUs",
    "memory_mb": "memory (MiB)",
    "cpu_hours": "CPU hours",
    "memory_gib_hours": "memory (GiB hours)",
}
"""What there are quotas of: the field of the API, and what people read."""


def exact(amount: float) -> str:
    """Return an amount with all its digits and no exponent: 0.000059 and 2000000.

    Rounded, what is used would look equal to a limit that it is over.
    """
    text = f"{Decimal(repr(amount)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def hundredths(amount: float) -> str:
    """Return an amount to a hundredth; what is less than that, and not nothing, as `<0.01`."""
    return "<0.01" if 0 < amount < 0.005 else f"{amount:.2f}"
