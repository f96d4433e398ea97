"""Versions on disk: find, verify, publish, alias and remove them. Two stores are read together."""
