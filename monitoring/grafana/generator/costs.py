"""What use costs: totals of the ledger times the prices that the service shows.

A unit without a price is left out of the sum, and without any price there is none.
"""

from monitoring.grafana.generator.promql import INTERVAL, TEAM

GIB, HOUR = 2**30, 3600
UNITS = {
    "running_hour": ("running_seconds", HOUR),
    "cpu_hour": ("cpu_seconds", HOUR),
    "memory_gib_hour": ("memory_byte_seconds", GIB * HOUR),
    "network_rx_gib": ("network_received_bytes", GIB),
    "network_tx_gib": ("network_sent_bytes", GIB),
    "block_read_gib": ("block_read_bytes", GIB),
    "block_write_gib": ("block_written_bytes", GIB),
    "volume_gib_hour": ("volume_byte_seconds", GIB * HOUR),
    "layer_gib_hour": ("layer_byte_seconds", GIB * HOUR),
}
"""Name of a price: what is paid for, and how many of it make the unit. A test holds them equal to
those of the ledger."""


KINDS = {
    "running_hour": "time running",
    "cpu_hour": "CPU",
    "memory_gib_hour": "memory",
    "network_rx_gib": "received",
    "network_tx_gib": "sent",
    "block_read_gib": "disk read",
    "block_write_gib": "disk written",
    "volume_gib_hour": "volumes",
    "layer_gib_hour": "layers",
}
"""What prices are for, in words."""


def _each(function: str, over: str) -> str:
    """Return how many of each unit teams used; `unit` says which, and `kind` in words."""
    return " or ".join(
        "label_replace(label_replace("
        f"max by (team) ({function}(vibebox_team_{what}_total{{{TEAM}}}[{over}]))"
        f' / {divisor}, "unit", "{unit}", "", ""), "kind", "{KINDS[unit]}", "", "")'
        for unit, (what, divisor) in UNITS.items()
    )


_PRICE = "vibebox_usage_price"


def of_teams(over: str) -> str:
    """Return what teams used over this range costs, by team, unit, kind and currency."""
    prices = f"max by (unit, currency) ({_PRICE})"
    return f"({_each('increase', over)}) * on (unit) group_left (currency) {prices}"


def rate_by_kind() -> str:
    """Return what teams use a second costs, by what it is for, and by currency."""
    used = f"sum by (unit, kind) ({_each('rate', INTERVAL)})"
    prices = f"max by (unit, currency) ({_PRICE})"
    return f"sum by (kind, currency) ({used} * on (unit) group_left (currency) {prices})"
