"""Accounts: who may use the service, and the tokens with which they do."""
