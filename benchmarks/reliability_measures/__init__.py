"""What `benchmarks.reliability` measures: one module for each kind of fault."""
