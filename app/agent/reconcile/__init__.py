"""Keeps records and containers one: what to compare, when, and what follows."""
