"""The synthetic user from inside: its account, and the record of its rounds."""
