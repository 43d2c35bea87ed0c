"""Words and colours of what is either so or not, for numbers and for bars over time."""

from monitoring.grafana.generator.palette import CRITICAL, FILLS, OK, SEVERITIES, WARNING

UP_OR_DOWN = {
    "0": {"text": "DOWN", "color": FILLS[CRITICAL], "index": 0},
    "1": {"text": "UP", "color": FILLS[OK], "index": 1},
}
LEADS = {
    "0": {"text": "nobody leads", "color": FILLS[CRITICAL], "index": 0},
    "1": {"text": "leads", "color": FILLS[OK], "index": 1},
}
SEVERITY = {
    str(rank): {"text": severity, "color": FILLS[color], "index": rank}
    for rank, (severity, color) in enumerate(reversed(SEVERITIES.items()))
}
"""By rank, the worst first: a table sorts by what a cell is, not by what it shows."""
FAILS = {
    "0": {"text": "ok", "color": FILLS[OK], "index": 0},
    # One round is no outage: it pages after several.
    "1": {"text": "fails", "color": FILLS[WARNING], "index": 1},
}
ROUND = {
    "0": {"text": "came through", "color": FILLS[OK], "index": 0},
    "1": {"text": "failed", "color": FILLS[WARNING], "index": 1},
    "2": {"text": "fails, and pages", "color": FILLS[CRITICAL], "index": 2},
}
IN_TROUBLE = {
    "0": {"text": "well", "color": FILLS[OK], "index": 0},
    "1": {"text": "trouble", "color": FILLS[WARNING], "index": 1},
}
