"""The exceptions of this package:

NamewaveError
    NoAnswer            the service was not reached, or the connection broke before the answer
        TimedOut        it was silent for longer than `timeout`
    Refused             it answered with an error: see `problem`
        InvalidRequest  400, 406, 413, 415, 422: another request is needed
        Forbidden       401, 403: `api_key` is missing or wrong
        NotFound        404: no such data set, model or address
        TooManyRequests 429
        Unavailable     503
        ServerFault     any other 5xx
    StreamBroken        a stream ended before its end record
    StreamNotThere      the head or end of a stream was read too early
    UnreadableAnswer    an answer is not that of a Namewave service

`retries` decides which errors are retried.
"""

from namewave_client.problem import Problem


class NamewaveError(Exception):
    """Base class of all errors, except TypeError and ValueError for wrong arguments."""


class NoAnswer(NamewaveError):
    """There was no connection, or it broke before the answer was complete."""


class TimedOut(NoAnswer, TimeoutError):
    """The service was silent for longer than `timeout` seconds."""


class Refused(NamewaveError):
    """The service answered with an error. `retry_after` is in seconds, None if it is unknown."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}".rstrip(": "))
        self.problem, self.retry_after = problem, retry_after


class InvalidRequest(Refused):
    """The request is invalid; `problem.errors` names the fields and what is allowed."""


class Forbidden(Refused):
    """The API key is missing or wrong."""


class NotFound(Refused):
    """There is no such data set, model or address; `problem.errors` has the most similar ones."""


class TooManyRequests(Refused):
    """The client is over its rate limit."""


class Unavailable(Refused):
    """The service or the model is unavailable at the moment."""


class ServerFault(Refused):
    """The service had an internal error."""


class StreamBroken(NamewaveError):
    """A stream ended before its end record, after `received` valid names."""

    def __init__(self, message: str, received: int) -> None:
        super().__init__(message)
        self.received = received


class StreamNotThere(NamewaveError):
    """The head of a stream was read before it began, its end before it ended, or names after `close`."""


class UnreadableAnswer(NamewaveError):
    """The answer is not that of a Namewave service; check `base_url`."""


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
    """Return the exception for `problem`."""
    other = ServerFault if problem.status >= 500 else Refused
    return KINDS.get(problem.status, other)(problem, retry_after)
