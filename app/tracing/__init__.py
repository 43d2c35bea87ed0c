"""Traces: what is recorded of requests and tasks, what of it is kept, and how it leaves."""
