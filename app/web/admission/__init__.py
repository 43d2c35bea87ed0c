"""What may last in a process: how much of it, for whom, and for how long."""
