"""The async client. It sends, waits and reads; other modules, shared with the sync client, do the rest."""

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
from namewave_client.retries import DEFAULT_RETRIES, Retries
from namewave_client.session import ADDRESS, DEFAULT_TIMEOUT, Session

T = TypeVar("T")


class AsyncNamewave:
    """A Namewave service at `base_url`. May be shared between tasks; close it, or use it in `async with`.

    `timeout` is the number of seconds that the service may be silent. `retries` is the retry policy; `Retries(most=0)`
    disables retries. `api_key` is sent as a bearer token (RFC 6750). The other arguments are for tests: `transport`
    replaces the network, `sleep` the waits, `random` the source of seeds and waits, `monotonic` and `now` the clocks.

    Every method raises `Refused` if the service answers with an error, `NoAnswer` if it does not answer,
    `UnreadableAnswer` if the answer is not that of a Namewave service, and `TypeError` for an unknown option.
    """

    def __init__(
        self,
        base_url: str = ADDRESS,
        *,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        retries: Retries = DEFAULT_RETRIES,
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
        """Return new names. Without a seed the client draws one, which the answer contains."""
        return await self._answer(calls.generate(**self._session.seeded(options)))

    @overload
    def stream(self, *, details: Literal[False] = False, **options: Unpack[DrawOptions]) -> AsyncNameStream[str]: ...

    @overload
    def stream(self, *, details: Literal[True], **options: Unpack[DrawOptions]) -> AsyncNameStream[NameDetail]: ...

    def stream(
        self, *, details: bool = False, **options: Unpack[DrawOptions]
    ) -> AsyncNameStream[str] | AsyncNameStream[NameDetail]:
        """Return up to a million names as an async iterator in constant memory; with `details`, of `NameDetail`.

        More than 10,000 need `unique=False`. Only the start of a stream is retried: see `StreamBroken`.
        """
        call = calls.stream(**self._session.seeded({**options, "details": details}))
        if details:
            return AsyncNameStream(lambda: self._response(call, stream=True), LineParser(NameDetail.read))
        return AsyncNameStream(lambda: self._response(call, stream=True), LineParser(name_of))

    async def pages(self, **options: Unpack[GenerateOptions]) -> AsyncIterator[Batch]:
        """Yield page after page of `count` names, with the same seed and model.

        Each page starts where the last one ended. The pages practically never end, so stop when you have enough.
        `unique` applies within a page. A page may have fewer names if its attempts ran out: see `Batch.complete`.
        """
        next_options: GenerateOptions | None = self._session.seeded(options)
        while next_options is not None:
            page = await self.generate(**next_options)
            yield page
            next_options = calls.next_page_options(next_options, page)

    async def score(
        self, names: Sequence[str], *, nearest: bool = False, by_style: bool = False, **options: Unpack[SourceOptions]
    ) -> Scores:
        """Return the scores of up to 1,000 names, character by character.

        If asked, also the nearest names of the list, and the log-probabilities under each value of the model's styles.
        """
        return await self._answer(calls.score(names, nearest, by_style, **options))

    async def next_characters(self, prefix: str = "", **options: Unpack[NextOptions]) -> NextCharacters:
        """Return the probability of each next character after a prefix, and of the end."""
        return await self._answer(calls.next_characters(prefix, **options))

    async def datasets(self) -> tuple[Dataset, ...]:
        """Return the data sets that have models."""
        return await self._answer(calls.datasets())

    async def models(self) -> Models:
        """Return all versions and aliases, and the refused versions."""
        return await self._answer(calls.models())

    async def model(self, reference: str) -> ModelPage:
        """Return all information about a version: `human/lstm@5`, `human/lstm@stable`, `human/lstm` (latest).

        Raises `ValueError` for a malformed reference.
        """
        return await self._answer(calls.model(reference))

    async def info(self) -> Info:
        """Return the service's version and limits."""
        return await self._answer(calls.info())

    async def ready(self) -> Health:
        """Return whether the service is ready, and its problems if not."""
        return await self._answer(calls.ready())

    async def _answer(self, call: Call[T]) -> T:
        return call.read((await self._response(call)).content)

    async def _response(self, call: Call[T], stream: bool = False) -> httpx.Response:
        retry_state = self._session.retry_state()
        while True:
            outcome = await self._outcome(call, stream)
            if isinstance(outcome, httpx.Response) and call.is_answered_by(outcome):
                return outcome
            await self._sleep(retry_state.next_wait(outcome))

    async def _outcome(self, call: Call[T], stream: bool) -> httpx.Response | httpx.RequestError:
        try:
            response = await self._http.send(self._session.request(self._http, call), stream=stream)
            if not call.is_answered_by(response):
                await response.aread()
            return response
        except httpx.RequestError as error:
            return error
