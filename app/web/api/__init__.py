"""The REST API: one module per resource, with its paths, methods and statuses."""
