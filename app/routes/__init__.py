"""The routes. A handler parses, calls one thing, and wraps the answer."""
