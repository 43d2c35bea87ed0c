"""The agent: a process beside the web that keeps records true and ends what is to end."""
