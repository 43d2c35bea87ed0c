"""Keeps the records of sessions true, and begins those that come with a start."""
