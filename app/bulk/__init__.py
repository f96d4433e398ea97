"""Bulk generation: millions of names as files, in parts that any engine can make."""
