"""What every layer may use; nothing in here imports another layer."""
