"""Servers to measure beside ours: the least that FastAPI costs, and the same network served in other ways. Each is run
as `python -m benchmarks.servers.<name> --port N`; only the harness in `benchmarks.measures` measures.
"""
