"""The routes, a file for each first segment of the address. A handler parses, calls one thing in `models`, and wraps
the answer.
"""
