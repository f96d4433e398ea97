"""Commands for the lessons in docs/lessons: demonstrations with metrics and plots, and the check of all lessons."""
