"""When to ask again, and how long to wait before: a policy, and the tries of one request. No I/O and no sleeping.

Waits grow exponentially with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015),
so that clients which were refused together do not come back together.
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
TRIED_AGAIN = (429, 503)
# A connection that was not made, or broke before the answer was there. Not a read that timed out: whoever is slow is
# not helped by the same work once more.
BROKEN = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)


@dataclass(frozen=True)
class Retries:
    """How often a request is tried again: at most `most` times. All else is in seconds. A wait is drawn evenly from 0
    to `first_wait`, doubled with each try up to `longest_wait`, on top of what the service asks for by Retry-After; no
    try begins later than `deadline` after the first one.
    """

    most: int = 4
    first_wait: float = 0.25
    longest_wait: float = 8.0
    deadline: float = 60.0

    def __post_init__(self) -> None:
        if min(self.most, self.first_wait, self.longest_wait, self.deadline) < 0:
            raise ValueError("The numbers of Retries must not be negative.")

    def wait(self, tries: int, random: Random) -> float:
        """Return how long to wait after the try with this number, from 0, where the service asks for nothing."""
        # A float has no room for 2**1024.
        return random.uniform(0, min(self.longest_wait, self.first_wait * 2 ** min(tries, 60)))


USUAL = Retries()


class Tries:
    """The tries of one request. `monotonic` tells seconds, `now` the seconds since 1970."""

    def __init__(
        self, policy: Retries, random: Random, monotonic: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self._policy, self._random, self._monotonic, self._now = policy, random, monotonic, now
        self._begun, self._tries = monotonic(), 0

    def wait_after(self, outcome: httpx.Response | httpx.RequestError) -> float:
        """Return how many seconds to wait before the next try, after an error's answer, whose body was read, or
        without an answer. Raises the error where there is to be no other try.
        """
        error, retry_after = self._judge(outcome)
        wait = (retry_after or 0.0) + self._policy.wait(self._tries, self._random)
        left = self._begun + self._policy.deadline - self._monotonic()
        if not _is_passing(outcome) or self._tries >= self._policy.most or wait > left:
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
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3), None where it says neither
    seconds nor a date.
    """
    if SECONDS.fullmatch(header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now)


def _is_passing(outcome: httpx.Response | httpx.RequestError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in TRIED_AGAIN
    return isinstance(outcome, BROKEN)
