"""Sessions: their records, and the agent that keeps them true."""
