"""The command line `vibebox`: what an operator does beside running the service, and the client."""
