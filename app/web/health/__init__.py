"""The four health routes and the checks behind readiness."""
