"""Extensions of VS Code: what environments are to have, and what the agent does about it."""
