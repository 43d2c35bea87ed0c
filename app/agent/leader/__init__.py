"""Several agents, one leads: the lease, the election, the term."""
