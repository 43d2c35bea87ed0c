"""What stands behind an alert: the worst series of it, traces, log lines, environments, a culprit.

It asks Prometheus and the stores that settings name, and the rules of the domain for what is
recorded. It needs no web server: `vibebox explain` works while the service is down.
"""
