"""Measurements of what the service survives, a file for each attack. `benchmarks.reliability` is their command."""
