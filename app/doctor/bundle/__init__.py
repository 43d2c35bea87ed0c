"""What is sent to whoever helps: facts of an installation in one archive, without its secrets."""
