"""Measurements under faults and attacks, one file for each. `benchmarks.reliability` is their command."""
