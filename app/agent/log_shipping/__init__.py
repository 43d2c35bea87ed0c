"""Sends what containers wrote to a receiver of logs, from the store: whole, or counted."""
