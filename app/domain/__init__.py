"""The rules of VibeBox; they know no HTTP, no process and no metric."""
