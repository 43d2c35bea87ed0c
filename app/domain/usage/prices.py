"""What use costs, by the table of prices in the settings."""

from collections.abc import Mapping

_NS_PER_HOUR = 3600 * 1_000_000_000
_SECONDS_PER_HOUR = 3600
_GIB = 2**30

# Name in the table of prices (see `app.core.setting_values.PRICED`) -> the sum that is paid for,
# and how many of its units make the one that has the price.
_UNITS = {
    "running_hour": ("running_ns", _NS_PER_HOUR),
    "cpu_hour": ("cpu_ns", _NS_PER_HOUR),
    "memory_gib_hour": ("memory_byte_seconds", _GIB * _SECONDS_PER_HOUR),
    "network_rx_gib": ("network_rx_bytes", _GIB),
    "network_tx_gib": ("network_tx_bytes", _GIB),
    "block_read_gib": ("block_read_bytes", _GIB),
    "block_write_gib": ("block_write_bytes", _GIB),
    "volume_gib_hour": ("volume_byte_seconds", _GIB * _SECONDS_PER_HOUR),
    "layer_gib_hour": ("layer_byte_seconds", _GIB * _SECONDS_PER_HOUR),
}
_DIGITS = 6


def cost(prices: Mapping[str, float], sums: Mapping[str, int]) -> float | None:
    """Return what these sums cost, to a millionth; None without prices.

    Args:
        prices: By unit, in one currency.
        sums: The sums of rows of the ledger, by name.
    """
    if not prices:
        return None
    parts = (_UNITS[unit] + (price,) for unit, price in prices.items())
    return round(sum(price * sums[name] / units for name, units, price in parts), _DIGITS)
