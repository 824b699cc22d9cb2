"""Benchmarks: ratios within one run, since absolute figures move. `make bench` writes bench/results/."""
