"""The seed's four health routes and the checks behind readiness."""
