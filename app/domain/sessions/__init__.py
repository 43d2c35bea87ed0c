"""Sessions: shells, tmux and VS Code servers in environments, and their terminals."""
