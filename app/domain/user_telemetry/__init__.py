"""What users' programs tell of themselves: how they are told where to, and whose it is."""
