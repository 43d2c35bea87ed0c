"""Bodies, queries and answers of the API, by resource."""
