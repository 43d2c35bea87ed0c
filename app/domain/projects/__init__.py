"""Projects: what environments belong to."""
