"""What containers wrote: the agent takes it in and lets it go, the API shows it."""
