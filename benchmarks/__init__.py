"""Side-by-side measurements, each run by hand with one command. Never part of the tests."""
