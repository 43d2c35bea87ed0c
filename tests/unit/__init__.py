"""Unit tests: no service, no network; the database is SQLite, Docker a fake."""
