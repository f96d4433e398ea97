"""Versions on disk: found, verified, published, named, removed. Two stores are read together."""
