"""The error of everything that reads lists."""


class NameListError(ValueError):
    """A list or data set that cannot be used.

    `str(error)` is one line: which one, the problem, what is allowed, what to do.
    """
