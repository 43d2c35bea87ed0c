"""Real services for the tests: throw-away, on loopback only, gone when the tests end."""
