"""Writes the rules of Prometheus from tables; see `python -m monitoring.rules --help`.

`thresholds` has what alerts compare with, `objectives` the table of objectives and windows.
`alerts` and `slo` make rules of them. The files under monitoring/prometheus are committed, and a
test compares.
"""
