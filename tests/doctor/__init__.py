"""Tests of what examines an installation."""
