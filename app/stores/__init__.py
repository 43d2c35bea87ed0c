"""Clients of the stores of signals that settings name: Prometheus, traces, log lines.

They ask and never write. Each question has a deadline over all of it (`app.core.deadline`) and a
bounded answer; nothing is followed elsewhere, and no proxy or login of the environment is used.
"""
