"""What `benchmarks.serving` measures, one file a question. The servers measured are next door."""
