"""Commands of `python -m training` around published versions. Lessons and searches have their own."""
