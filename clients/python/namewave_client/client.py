"""The sync client. It sends, waits and reads; other modules, shared with the async client, do the rest."""

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack, overload

import httpx

from namewave_client import calls
from namewave_client.calls import Call
from namewave_client.catalogue import Dataset, Health, Info, ModelPage, Models
from namewave_client.name_lines import LineParser, name_of
from namewave_client.name_stream import NameStream
from namewave_client.names import Batch, NameDetail, NextCharacters, Scores
from namewave_client.options import DrawOptions, GenerateOptions, NextOptions, SourceOptions
from namewave_client.retries import DEFAULT_RETRIES, Retries
from namewave_client.session import ADDRESS, DEFAULT_TIMEOUT, Session

T = TypeVar("T")


class Namewave:
    """A Namewave service at `base_url`. May be shared between threads; close it, or use it in `with`.

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
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        random: Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        session = Session(base_url, timeout, retries, api_key, random, monotonic, now)
        self._session, self._sleep = session, sleep
        self._http = httpx.Client(
            base_url=session.base_url, headers=session.headers, timeout=session.timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def generate(self, **options: Unpack[GenerateOptions]) -> Batch:
        """Return new names. Without a seed the client draws one, which the answer contains."""
        return self._answer(calls.generate(**self._session.seeded(options)))

    @overload
    def stream(self, *, details: Literal[False] = False, **options: Unpack[DrawOptions]) -> NameStream[str]: ...

    @overload
    def stream(self, *, details: Literal[True], **options: Unpack[DrawOptions]) -> NameStream[NameDetail]: ...

    def stream(
        self, *, details: bool = False, **options: Unpack[DrawOptions]
    ) -> NameStream[str] | NameStream[NameDetail]:
        """Return up to a million names as an iterator in constant memory; with `details`, of `NameDetail`.

        More than 10,000 need `unique=False`. Only the start of a stream is retried: see `StreamBroken`.
        """
        call = calls.stream(**self._session.seeded({**options, "details": details}))
        if details:
            return NameStream(lambda: self._response(call, stream=True), LineParser(NameDetail.read))
        return NameStream(lambda: self._response(call, stream=True), LineParser(name_of))

    def pages(self, **options: Unpack[GenerateOptions]) -> Iterator[Batch]:
        """Yield page after page of `count` names, with the same seed and model.

        Each page starts where the last one ended. The pages practically never end, so stop when you have enough.
        `unique` applies within a page. A page may have fewer names if its attempts ran out: see `Batch.complete`.
        """
        next_options: GenerateOptions | None = self._session.seeded(options)
        while next_options is not None:
            page = self.generate(**next_options)
            yield page
            next_options = calls.next_page_options(next_options, page)

    def score(
        self, names: Sequence[str], *, nearest: bool = False, by_style: bool = False, **options: Unpack[SourceOptions]
    ) -> Scores:
        """Return the scores of up to 1,000 names, character by character.

        If asked, also the nearest names of the list, and the log-probabilities under each value of the model's styles.
        """
        return self._answer(calls.score(names, nearest, by_style, **options))

    def next_characters(self, prefix: str = "", **options: Unpack[NextOptions]) -> NextCharacters:
        """Return the probability of each next character after a prefix, and of the end."""
        return self._answer(calls.next_characters(prefix, **options))

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the data sets that have models."""
        return self._answer(calls.datasets())

    def models(self) -> Models:
        """Return all versions and aliases, and the refused versions."""
        return self._answer(calls.models())

    def model(self, reference: str) -> ModelPage:
        """Return all information about a version: `human/lstm@5`, `human/lstm@stable`, `human/lstm` (latest).

        Raises `ValueError` for a malformed reference.
        """
        return self._answer(calls.model(reference))

    def info(self) -> Info:
        """Return the service's version and limits."""
        return self._answer(calls.info())

    def ready(self) -> Health:
        """Return whether the service is ready, and its problems if not."""
        return self._answer(calls.ready())

    def _answer(self, call: Call[T]) -> T:
        return call.read(self._response(call).content)

    def _response(self, call: Call[T], stream: bool = False) -> httpx.Response:
        retry_state = self._session.retry_state()
        while True:
            outcome = self._outcome(call, stream)
            if isinstance(outcome, httpx.Response) and call.is_answered_by(outcome):
                return outcome
            self._sleep(retry_state.next_wait(outcome))

    def _outcome(self, call: Call[T], stream: bool) -> httpx.Response | httpx.RequestError:
        try:
            response = self._http.send(self._session.request(self._http, call), stream=stream)
            if not call.is_answered_by(response):
                response.read()
            return response
        except httpx.RequestError as error:
            return error
