"""The measurements of `benchmarks.serving`. The measured servers are in `benchmarks.servers`."""
