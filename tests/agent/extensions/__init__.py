"""Extensions: what is recorded, and what the agent does about it."""
