"""The training room: from a list of names to a published version. Run it as `python -m training`.

Nothing is imported here, so that `__main__` can say what is missing before torch is needed.
"""
