"""Secret environment variables: how they are encrypted, and how keys are changed."""
