"""Training: from a list of names to a published version. Run it as `python -m training`.

This module imports nothing, so that `__main__` can report missing packages before torch is needed.
"""
