"""Commands of `python -m training` for published versions. Lessons and searches have their own."""
