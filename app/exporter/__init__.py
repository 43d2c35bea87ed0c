"""The exporter: a process that sends what the others have kept of their traces, and metrics."""
