"""The state that the sync and the async client share: address, credentials, timeout, random source and clocks.

This module builds requests and does no I/O.
"""

from collections.abc import Callable
from random import Random, SystemRandom
from typing import TypeVar

import httpx

from namewave_client.calls import Call
from namewave_client.options import GenerateOptions
from namewave_client.retries import Retries, RetryState
from namewave_client.version import VERSION

T = TypeVar("T")
ADDRESS = "http://127.0.0.1:8000"
# Seconds of silence.
DEFAULT_TIMEOUT = 60.0
SEED_BITS = 53


class Session:
    """The settings of a client; immutable except for its random source. Raises `ValueError` for a bad address."""

    def __init__(
        self,
        base_url: str,
        timeout: float | httpx.Timeout,
        retries: Retries,
        api_key: str | None,
        random: Random | None,
        monotonic: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self.base_url, self.timeout = _address(base_url), timeout
        self.headers = {"User-Agent": f"namewave-client/{VERSION}"}
        if api_key is not None:
            self.headers["Authorization"] = f"Bearer {api_key}"
        self._retries = retries
        self._random = SystemRandom() if random is None else random
        self._monotonic, self._now = monotonic, now

    def request(self, http: httpx.Client | httpx.AsyncClient, call: Call[T]) -> httpx.Request:
        """Return the request of a call."""
        headers = {"Accept": call.accept}
        return http.build_request(call.method, call.path, params=call.query or None, json=call.body, headers=headers)

    def retry_state(self) -> RetryState:
        """Return the retry state of a request that starts now."""
        return RetryState(self._retries, self._random, self._monotonic, self._now)

    def seeded(self, options: GenerateOptions) -> GenerateOptions:
        """Return the options with a seed, a random one if they have none.

        The client draws the seed before the first try, so that a retry after a lost answer gives the same names, and
        all pages have the same seed.
        """
        if options.get("seed") is not None:
            return options
        return {**options, "seed": self._random.getrandbits(SEED_BITS)}


def _address(base_url: str) -> httpx.URL:
    try:
        address = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"base_url is not a URL: {error}.") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError("base_url must begin with http:// or https:// and a host.")
    return address
