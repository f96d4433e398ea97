"""Rebuild the shipped lists: fetch packages, parse them, select words.

`data.build` is the command.

Training and serving do not need this package; only `data.build` imports it.
"""
