"""Commands for docs/lessons: demonstrations with metrics and plots, and the check of all."""
