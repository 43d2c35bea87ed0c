"""What each process tells of itself."""
