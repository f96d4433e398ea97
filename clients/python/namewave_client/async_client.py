"""The async client: sends, waits and reads. What is asked, read and tried again is told in the files that the sync
client shares.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from random import Random
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack, overload

import httpx

from namewave_client import calls
from namewave_client.async_name_stream import AsyncNameStream
from namewave_client.calls import Call
from namewave_client.catalogue import Dataset, Health, Info, ModelPage, Models
from namewave_client.name_lines import LineParser, name_of
from namewave_client.names import Batch, NameDetail, NextCharacters, Scores
from namewave_client.options import DrawOptions, GenerateOptions, NextOptions, SourceOptions
from namewave_client.retries import USUAL, Retries
from namewave_client.session import ADDRESS, PATIENCE, Session

T = TypeVar("T")


class AsyncNamewave:
    """A Namewave service at `base_url`. May be shared between tasks; close it, or use it in `async with`.

    `timeout` is how many seconds the service may be silent. `retries` says how often a request is tried again, never
    with `Retries(most=0)`. `api_key` goes along as a bearer token (RFC 6750). The rest is for tests: `transport` in the
    place of a network, `sleep` for waits (trio's, where you run trio), `random` for seeds and waits, `monotonic` and
    `now` for clocks, all in seconds.

    Every method raises `Refused` where the service answers with an error, `NoAnswer` where it does not answer,
    `UnreadableAnswer` where the answer is not a Namewave's, and `TypeError` for an option that there is not.
    """

    def __init__(
        self,
        base_url: str = ADDRESS,
        *,
        timeout: float | httpx.Timeout = PATIENCE,
        retries: Retries = USUAL,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        session = Session(base_url, timeout, retries, api_key, random, monotonic, now)
        self._session, self._sleep = session, sleep
        self._http = httpx.AsyncClient(
            base_url=session.base_url, headers=session.headers, timeout=session.timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def generate(self, **options: Unpack[GenerateOptions]) -> Batch:
        """Return new names. Without a seed one is drawn here, and told in the answer."""
        return await self._answer(calls.generate(**self._session.seeded(options)))

    @overload
    def stream(self, *, details: Literal[False] = False, **options: Unpack[DrawOptions]) -> AsyncNameStream[str]: ...

    @overload
    def stream(self, *, details: Literal[True], **options: Unpack[DrawOptions]) -> AsyncNameStream[NameDetail]: ...

    def stream(
        self, *, details: bool = False, **options: Unpack[DrawOptions]
    ) -> AsyncNameStream[str] | AsyncNameStream[NameDetail]:
        """Return up to a million names as an async iterator in constant memory; with `details`, of `NameDetail`.

        More than 10,000 need `unique=False`. Only its beginning is tried again: see `StreamBroken`.
        """
        call = calls.stream(**self._session.seeded({**options, "details": details}))
        if details:
            return AsyncNameStream(lambda: self._response(call, stream=True), LineParser(NameDetail.read))
        return AsyncNameStream(lambda: self._response(call, stream=True), LineParser(name_of))

    async def pages(self, **options: Unpack[GenerateOptions]) -> AsyncIterator[Batch]:
        """Yield page after page of `count` names, each where the one before it ended, all of one seed and model.

        There are always more, practically: stop when you have enough. `unique` holds within a page. A page may have
        fewer names, or none, where its budget of attempts ran out: see `Batch.complete`.
        """
        onward: GenerateOptions | None = self._session.seeded(options)
        while onward is not None:
            page = await self.generate(**onward)
            yield page
            onward = calls.following(onward, page)

    async def score(self, names: Sequence[str], **options: Unpack[SourceOptions]) -> Scores:
        """Return how likely a model finds up to 1,000 names, character by character, and what they are near to."""
        return await self._answer(calls.score(names, **options))

    async def next_characters(self, prefix: str = "", **options: Unpack[NextOptions]) -> NextCharacters:
        """Return the probability of each character that may follow a prefix, and of the end."""
        return await self._answer(calls.next_characters(prefix, **options))

    async def datasets(self) -> tuple[Dataset, ...]:
        """Return the data sets that have models."""
        return await self._answer(calls.datasets())

    async def models(self) -> Models:
        """Return all versions and aliases, and what was refused."""
        return await self._answer(calls.models())

    async def model(self, reference: str) -> ModelPage:
        """Return everything there is to know of a version: `human/lstm@4`, `human/lstm@stable`, `human/lstm` (latest).
        Raises `ValueError` for text of another form.
        """
        return await self._answer(calls.model(reference))

    async def info(self) -> Info:
        """Return the service's version and limits."""
        return await self._answer(calls.info())

    async def ready(self) -> Health:
        """Return whether names can be had, and else why not."""
        return await self._answer(calls.ready())

    async def _answer(self, call: Call[T]) -> T:
        return call.read((await self._response(call)).content)

    async def _response(self, call: Call[T], stream: bool = False) -> httpx.Response:
        tries = self._session.tries()
        while True:
            outcome = await self._outcome(call, stream)
            if isinstance(outcome, httpx.Response) and call.is_answered_by(outcome):
                return outcome
            await self._sleep(tries.wait_after(outcome))

    async def _outcome(self, call: Call[T], stream: bool) -> httpx.Response | httpx.RequestError:
        try:
            response = await self._http.send(self._session.request(self._http, call), stream=stream)
            if not call.is_answered_by(response):
                await response.aread()
            return response
        except httpx.RequestError as error:
            return error
