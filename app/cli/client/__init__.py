"""The commands of a developer who uses a VibeBox: a client of its public API.

Nothing here reads the settings of the service or opens its database; the client runs on any machine
that reaches the service. What takes long to import is imported by the command that needs it.
"""
