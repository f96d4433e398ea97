"""Errors of training. A message is one line: what is wrong, what is allowed, and what to do."""


class TrainingError(Exception):
    """A run cannot start or continue."""


class Interrupted(TrainingError):
    """A stop request ended the run; the message says how to continue."""
