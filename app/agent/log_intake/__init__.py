"""Takes in what containers write, each line once, and lets old lines go."""
