"""What watches VibeBox: nothing of it is part of the product."""
