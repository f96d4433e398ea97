"""What the commands of `benchmarks.reliability` do, a file for each."""
