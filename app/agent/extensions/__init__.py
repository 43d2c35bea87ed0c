"""Installs extensions of VS Code in environments that run."""
