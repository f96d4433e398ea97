"""What can go wrong in training, each message one line that says what was given, what is allowed and what to do."""


class TrainingError(Exception):
    """A run that cannot start or go on."""


class Interrupted(TrainingError):
    """The run was stopped from outside; the message says how to go on."""
