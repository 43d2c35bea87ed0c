"""Benchmarks: side by side in one run, shown as ratios, since machines differ."""
