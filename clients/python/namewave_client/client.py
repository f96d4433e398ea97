"""The sync client: sends, waits and reads. What is asked, read and tried again is told in the files that the async
client shares.
"""

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
from namewave_client.retries import USUAL, Retries
from namewave_client.session import ADDRESS, PATIENCE, Session

T = TypeVar("T")


class Namewave:
    """A Namewave service at `base_url`. May be shared between threads; close it, or use it in `with`.

    `timeout` is how many seconds the service may be silent. `retries` says how often a request is tried again, never
    with `Retries(most=0)`. `api_key` goes along as a bearer token (RFC 6750). The rest is for tests: `transport` in the
    place of a network, `sleep` for waits, `random` for seeds and waits, `monotonic` and
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
        """Return new names. Without a seed one is drawn here, and told in the answer."""
        return self._answer(calls.generate(**self._session.seeded(options)))

    @overload
    def stream(self, *, details: Literal[False] = False, **options: Unpack[DrawOptions]) -> NameStream[str]: ...

    @overload
    def stream(self, *, details: Literal[True], **options: Unpack[DrawOptions]) -> NameStream[NameDetail]: ...

    def stream(
        self, *, details: bool = False, **options: Unpack[DrawOptions]
    ) -> NameStream[str] | NameStream[NameDetail]:
        """Return up to a million names as an iterator in constant memory; with `details`, of `NameDetail`.

        More than 10,000 need `unique=False`. Only its beginning is tried again: see `StreamBroken`.
        """
        call = calls.stream(**self._session.seeded({**options, "details": details}))
        if details:
            return NameStream(lambda: self._response(call, stream=True), LineParser(NameDetail.read))
        return NameStream(lambda: self._response(call, stream=True), LineParser(name_of))

    def pages(self, **options: Unpack[GenerateOptions]) -> Iterator[Batch]:
        """Yield page after page of `count` names, each where the one before it ended, all of one seed and model.

        There are always more, practically: stop when you have enough. `unique` holds within a page. A page may have
        fewer names, or none, where its budget of attempts ran out: see `Batch.complete`.
        """
        onward: GenerateOptions | None = self._session.seeded(options)
        while onward is not None:
            page = self.generate(**onward)
            yield page
            onward = calls.following(onward, page)

    def score(self, names: Sequence[str], **options: Unpack[SourceOptions]) -> Scores:
        """Return how likely a model finds up to 1,000 names, character by character, and what they are near to."""
        return self._answer(calls.score(names, **options))

    def next_characters(self, prefix: str = "", **options: Unpack[NextOptions]) -> NextCharacters:
        """Return the probability of each character that may follow a prefix, and of the end."""
        return self._answer(calls.next_characters(prefix, **options))

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the data sets that have models."""
        return self._answer(calls.datasets())

    def models(self) -> Models:
        """Return all versions and aliases, and what was refused."""
        return self._answer(calls.models())

    def model(self, reference: str) -> ModelPage:
        """Return everything there is to know of a version: `human/lstm@4`, `human/lstm@stable`, `human/lstm` (latest).
        Raises `ValueError` for text of another form.
        """
        return self._answer(calls.model(reference))

    def info(self) -> Info:
        """Return the service's version and limits."""
        return self._answer(calls.info())

    def ready(self) -> Health:
        """Return whether names can be had, and else why not."""
        return self._answer(calls.ready())

    def _answer(self, call: Call[T]) -> T:
        return call.read(self._response(call).content)

    def _response(self, call: Call[T], stream: bool = False) -> httpx.Response:
        tries = self._session.tries()
        while True:
            outcome = self._outcome(call, stream)
            if isinstance(outcome, httpx.Response) and call.is_answered_by(outcome):
                return outcome
            self._sleep(tries.wait_after(outcome))

    def _outcome(self, call: Call[T], stream: bool) -> httpx.Response | httpx.RequestError:
        try:
            response = self._http.send(self._session.request(self._http, call), stream=stream)
            if not call.is_answered_by(response):
                response.read()
            return response
        except httpx.RequestError as error:
            return error
