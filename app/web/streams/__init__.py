"""What is told for as long as somebody listens: status, events, logs, terminals, waiting."""
