"""What goes wrong, as exceptions:

NamewaveError
    NoAnswer            the service was not reached, or broke off before its answer was there
        TimedOut        it was silent for longer than `timeout`
    Refused             it answered with an error: see `problem`
        InvalidRequest  400, 406, 413, 415, 422: another request is needed
        Forbidden       401, 403: `api_key` is missing or wrong
        NotFound        404: no such data set, model or address
        TooManyRequests 429
        Unavailable     503
        ServerFault     any other 5xx
    StreamBroken        a stream ended before its end record
    StreamNotThere      a stream was asked for what it cannot tell yet
    UnreadableAnswer    an answer is not what a Namewave service says

Which of them is tried again is told in `retries`.
"""

from namewave_client.problem import Problem


class NamewaveError(Exception):
    """Everything that this package raises on purpose, but for wrong arguments: those are TypeError or ValueError."""


class NoAnswer(NamewaveError):
    """There was no connection, or it broke before the whole answer was there."""


class TimedOut(NoAnswer, TimeoutError):
    """Nothing came for longer than `timeout` seconds."""


class Refused(NamewaveError):
    """The service answered with an error. `retry_after` is in seconds, None where it did not say."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}".rstrip(": "))
        self.problem, self.retry_after = problem, retry_after


class InvalidRequest(Refused):
    """The request cannot be met as it is; `problem.errors` names the fields and what is allowed."""


class Forbidden(Refused):
    """The service wants an API key, or another one."""


class NotFound(Refused):
    """There is no such data set, model or address; `problem.errors` has the nearest."""


class TooManyRequests(Refused):
    """The service wants fewer requests."""


class Unavailable(Refused):
    """The service, or this model, cannot be had at the moment."""


class ServerFault(Refused):
    """Something went wrong in the service."""


class StreamBroken(NamewaveError):
    """A stream ended before its end record. `received` names came, and all of them are good."""

    def __init__(self, message: str, received: int) -> None:
        super().__init__(message)
        self.received = received


class StreamNotThere(NamewaveError):
    """A stream was asked for its head before it began, for its end before it ended, or for names once closed."""


class UnreadableAnswer(NamewaveError):
    """The answer is not what a Namewave service says: is `base_url` one?"""


KINDS: dict[int, type[Refused]] = {
    400: InvalidRequest,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    406: InvalidRequest,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: TooManyRequests,
    503: Unavailable,
}


def refusal(problem: Problem, retry_after: float | None) -> Refused:
    """Return the exception for a problem."""
    other = ServerFault if problem.status >= 500 else Refused
    return KINDS.get(problem.status, other)(problem, retry_after)
