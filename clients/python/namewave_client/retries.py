"""The retry policy, and the retry state of one request. No I/O and no sleeping.

Waits grow exponentially with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015),
so that clients that are refused together do not return together.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

import httpx

from namewave_client.errors import NamewaveError, NoAnswer, TimedOut
from namewave_client.refusals import refused

SECONDS = re.compile(r"[0-9]{1,9}")
RETRIED_STATUSES = (429, 503)
# The connection failed or broke before the answer. Read timeouts are not retried, because the same work again does not
# help a slow service.
RETRIED_ERRORS = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)


@dataclass(frozen=True)
class Retries:
    """The retry policy: at most `most` retries; the other fields are in seconds.

    A wait is uniform between 0 and `first_wait`, doubled with each try up to `longest_wait`, in addition to
    Retry-After. No try starts later than `deadline` after the first one.
    """

    most: int = 4
    first_wait: float = 0.25
    longest_wait: float = 8.0
    deadline: float = 60.0

    def __post_init__(self) -> None:
        if min(self.most, self.first_wait, self.longest_wait, self.deadline) < 0:
            raise ValueError("The numbers of Retries must not be negative.")

    def wait(self, retry_state: int, random: Random) -> float:
        """Return the random wait after the try with this number, from 0, without Retry-After."""
        # A float cannot hold 2**1024.
        return random.uniform(0, min(self.longest_wait, self.first_wait * 2 ** min(retry_state, 60)))


DEFAULT_RETRIES = Retries()


class RetryState:
    """The retry state of one request. `monotonic` returns seconds, `now` the seconds since 1970."""

    def __init__(
        self, policy: Retries, random: Random, monotonic: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self._policy, self._random, self._monotonic, self._now = policy, random, monotonic, now
        self._begun, self._tries = monotonic(), 0

    def next_wait(self, outcome: httpx.Response | httpx.RequestError) -> float:
        """Return the seconds to wait before the next try after an error. Raises the error if there is none.

        The body of a response must have been read.
        """
        error, retry_after = self._judge(outcome)
        wait = (retry_after or 0.0) + self._policy.wait(self._tries, self._random)
        left = self._begun + self._policy.deadline - self._monotonic()
        if not _is_transient(outcome) or self._tries >= self._policy.most or wait > left:
            raise error from (outcome if isinstance(outcome, Exception) else None)
        self._tries += 1
        return wait

    def _judge(self, outcome: httpx.Response | httpx.RequestError) -> tuple[NamewaveError, float | None]:
        if isinstance(outcome, httpx.Response):
            after = retry_after(outcome.headers.get("retry-after", ""), self._now())
            return refused(outcome, after), after
        kind = TimedOut if isinstance(outcome, httpx.TimeoutException) else NoAnswer
        times = f" after {self._tries + 1} tries" if self._tries else ""
        return kind(f"No answer{times}: {str(outcome) or type(outcome).__name__}."), None


def retry_after(header: str, now: float) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3), None if it is malformed."""
    if SECONDS.fullmatch(header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now)


def _is_transient(outcome: httpx.Response | httpx.RequestError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in RETRIED_STATUSES
    return isinstance(outcome, RETRIED_ERRORS)
