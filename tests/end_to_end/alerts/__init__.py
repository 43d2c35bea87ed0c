"""The shipped rules and routes, with every duration divided, against real faults.

`stack` has the service, Prometheus, Alertmanager and a receiver; `faults` what is done to them and
what has to follow. `python -m tests.end_to_end.alerts --help` runs them by hand.
"""
