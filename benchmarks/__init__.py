"""Benchmarks: side by side in one run, printed as ratios, since absolute times differ by machine."""
