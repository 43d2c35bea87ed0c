"""The meter: reads what containers use, and has it booked."""
