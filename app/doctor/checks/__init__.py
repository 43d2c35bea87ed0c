"""The checks: a module for each subject, each check a function that returns a `Finding`."""
