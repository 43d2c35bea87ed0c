"""Tests; they mirror the packages under `app/`."""
