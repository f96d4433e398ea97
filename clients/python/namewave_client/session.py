"""What a sync and an async client have alike: address, credentials, patience, chance and clocks. No I/O: requests are
built here and sent elsewhere.
"""

from collections.abc import Callable
from random import Random, SystemRandom
from typing import TypeVar

import httpx

from namewave_client.calls import Call
from namewave_client.options import GenerateOptions
from namewave_client.retries import Retries, Tries
from namewave_client.version import VERSION

T = TypeVar("T")
ADDRESS = "http://127.0.0.1:8000"
# Seconds without a sign of the service.
PATIENCE = 60.0
SEED_BITS = 53


class Session:
    """Immutable but for its source of chance. Raises `ValueError` for an address that is none."""

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

    def tries(self) -> Tries:
        """Return the tries of a request that begins now."""
        return Tries(self._retries, self._random, self._monotonic, self._now)

    def seeded(self, options: GenerateOptions) -> GenerateOptions:
        """Return the options with a seed: their own, else one drawn here.

        Here and not by the service, and before the first try: an answer may be lost on its way, and the next try must
        not give other names than the lost one did, nor a page others than the page before it.
        """
        if options.get("seed") is not None:
            return options
        return {**options, "seed": self._random.getrandbits(SEED_BITS)}


def _address(base_url: str) -> httpx.URL:
    try:
        address = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"base_url is no address: {error}.") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError("base_url must begin with http:// or https:// and a host.")
    return address
