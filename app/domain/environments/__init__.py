"""Environments: records of what a developer asked for, and the containers that run it."""
