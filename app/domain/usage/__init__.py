"""What environments use, booked exactly once."""
