"""Requests sampled in chunks: a JSON answer, or the lines of a stream. No HTTP and no threads."""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from app.names.generation import (
    SCORED_CHARACTER_COST,
    SamplerCache,
    attempt_budget,
    detail_json,
    inline_candidate_limit,
    needs_scores,
    seed_of,
    source_json,
    validate_for_media_type,
)
from app.names.scoring import next_batch
from app.schemas import GenerateQuery
from app.web.negotiation import CSV, JSON, NDJSON, TEXT
from models import inference
from models.blends import Source
from models.inference import JSON_LIST, NameStream, PrefixMemory
from models.inference.stream import FIRST_CHUNK
from models.kernel.prefix_cache import MAX_CHUNK

# Candidates of a chunk whose names are scored: a job that is stopped must not leave many names to score.
SCORED_CHUNK = 32
# A JSON answer, and its last figures where no candidate was rejected.
ANSWER = b'%b,"seed":%d,"offset":%d,"next_offset":%d,"temperature":%b,"complete":%b,"attempts":%d,%b,"names":[%b]}'
ALL_ACCEPTED = b'"acceptance_rate":1.0,"refused":%b' % to_json(dict.fromkeys(inference.REASONS, 0))
LINE_FORMATS = {TEXT: inference.TEXT, CSV: inference.CSV, NDJSON: inference.NDJSON}


class SamplingJob:
    """A request with a seed, sampled in chunks of some milliseconds.

    Raises `OptionError` and `UnknownCharacter` when created, and nothing later. `first_chunk`: its candidates; `speed`:
    the characters that the model samples in a second, if known.
    """

    def __init__(
        self,
        request: GenerateQuery,
        source: Source,
        max_attempts: int,
        memory: PrefixMemory,
        samplers: SamplerCache,
        media: str = JSON,
        first_chunk: int = FIRST_CHUNK,
        speed: float = 0.0,
    ) -> None:
        validate_for_media_type(request, media)
        self.request, self.source, self.memory, self.media = request, source, memory, media
        self.max_attempts = attempt_budget(request, max_attempts)
        self.needs_scores = needs_scores(request)
        self.stream = NameStream(
            samplers.get(request, source),
            request.count,
            seed=seed_of(request),
            offset=request.offset,
            max_attempts=self.max_attempts,
            first_chunk=first_chunk,
            max_chunk=SCORED_CHUNK if self.needs_scores else MAX_CHUNK,
        )
        self.started = self.stopped = self.finished = False
        limit = inline_candidate_limit(request, speed)
        # Half of the candidates may be rejected.
        self._inline_limit = limit if 2 * request.count <= limit else 0
        # Characters of scored names, their ends included.
        self.scored = 0
        # The names of a JSON answer: as JSON, or, where they are scored, as text with their log-probabilities and their
        # details as JSON. Objects for all characters of thousands of names would make the garbage collector stop all
        # threads for a fifth of a second.
        self._chunks: list[bytes] = []
        self._names: list[str] = []
        self._scores: list[tuple[float, bytes]] = []

    @property
    def charged(self) -> int:
        """What the client pays so far, in sampled characters."""
        return self.stream.characters + SCORED_CHARACTER_COST * self.scored

    def expected_charge(self, candidates: float) -> int:
        """Return the characters charged for `candidates` candidates, each assumed to have the maximum length."""
        scored = SCORED_CHARACTER_COST * self.request.count if self.needs_scores else 0
        longest = self.request.max_length or self.source.generator.longest
        return (math.ceil(candidates) + scored) * (longest + 1)

    @property
    def fits_inline(self) -> bool:
        """Whether the whole job is short and its next chunk takes only a few milliseconds."""
        return self.stream.attempts + self.stream.size <= self._inline_limit

    @property
    def shows_its_end(self) -> bool:
        """Whether the stream is complete, or its last record says that it is not."""
        return self.media == NDJSON or self.stream.complete

    def stop(self) -> None:
        """Sample no more: the job ends with what there is."""
        self.stopped = True

    @property
    def note(self) -> str | None:
        """Say so if names are missing that `safe` rejected."""
        missing, rejected = self.stream.count - self.stream.names, self.stream.only_unsafe
        if not (missing and rejected):
            return None
        return (
            f"safe rejected {rejected} candidates that are spelled as the request says: with safe false, up to "
            f"{min(missing, rejected)} of the {missing} missing names would be here."
        )

    def _figures(self) -> dict[str, Any]:
        stream = self.stream
        return {
            "complete": stream.complete,
            "attempts": stream.attempts,
            "next_offset": stream.next_offset,
            "acceptance_rate": round(stream.names / stream.attempts, 6) if stream.attempts else 0.0,
            "refused": stream.refused,
            "note": self.note,
        }

    def _writer(self, form: inference.Form) -> inference.Writer:
        return self.stream.sampler.writer(form, self.request.case)

    def _spelled(self, names: Sequence[str]) -> list[str]:
        return self.source.generator.spelled(names, self.request.case)

    def next_chunk(self) -> bytes:
        """Work for some milliseconds, and return what can be sent; `finished` is set with the last chunk."""
        raise NotImplementedError


class GenerateJob(SamplingJob):
    """The answer as JSON, which comes with the last chunk."""

    def next_chunk(self) -> bytes:
        """Sample or score for some milliseconds. Names are scored before more are sampled."""
        self.started = True
        if len(self._scores) < len(self._names):
            self._score()
        elif self.needs_scores and not self.stopped:
            self._names += self.stream.next_names(self.memory)
        elif not self.stopped:
            self._chunks.append(self.stream.next_bytes(self._writer(JSON_LIST), self.memory))
        has_scores = len(self._scores) == len(self._names)
        self.finished = has_scores and (self.stopped or self.stream.finished)
        return self._answer() if self.finished else b""

    def _score(self) -> None:
        for score in self.source.generator.judge(next_batch(self._names, len(self._scores))):
            self.scored += len(score.name) + 1
            details = detail_json(score, *self._spelled([score.name])) if self.request.details else b""
            self._scores.append((score.log_prob, details))

    def _answer(self) -> bytes:
        """Return the JSON of `GenerateAnswer`."""
        stream, attempts, end = self.stream, self.stream.attempts, ALL_ACCEPTED
        if not 0 < attempts == stream.names:
            figures = self._figures()
            end = b'"acceptance_rate":%b,"refused":%b' % (
                to_json(figures["acceptance_rate"]),
                to_json(figures["refused"]),
            )
            if figures["note"]:
                end += b',"note":%b' % to_json(figures["note"])
        return ANSWER % (
            source_json(self.source),
            stream.seed,
            stream.offset,
            stream.offset + attempts,
            to_json(self.request.temperature),
            b"true" if stream.names == stream.count else b"false",
            attempts,
            end,
            self._names_json(),
        )

    def _names_json(self) -> bytes:
        """Return the names as the elements of a JSON list."""
        request, names = self.request, self._names
        if not self.needs_scores:
            return b"".join(self._chunks)[:-1]
        order: Sequence[int] = range(len(names))
        if request.sort == "likelihood":
            # Equally likely names keep their order.
            order = sorted(order, key=lambda i: -self._scores[i][0])
        if request.details:
            return b",".join(self._scores[i][1] for i in order)
        names = [names[i] for i in order]
        return to_json(self._spelled(names))[1:-1]


class StreamEnd(BaseModel):
    """How a stream ended."""

    complete: bool
    attempts: int
    next_offset: int
    acceptance_rate: float
    refused: dict[str, int]
    note: str | None = None


class StreamTrailer(BaseModel):
    """The last line of NDJSON."""

    end: StreamEnd


class StreamJob(SamplingJob):
    """The lines of a stream."""

    def next_chunk(self) -> bytes:
        """Return some milliseconds' worth of lines, maybe none."""
        lines = b"" if self.started else LINE_FORMATS[self.media].title.encode()
        self.started = True
        if not (self.stopped or self.stream.finished):
            if self.request.details:
                lines += self._details(self.stream.next_names(self.memory))
            else:
                lines += self.stream.next_bytes(self._writer(LINE_FORMATS[self.media]), self.memory)
        self.finished = self.stopped or self.stream.finished
        if self.finished and self.media == NDJSON:
            lines += StreamTrailer(end=StreamEnd(**self._figures())).model_dump_json(exclude_none=True).encode() + b"\n"
        return lines

    def _details(self, names: Sequence[str]) -> bytes:
        """Return each name as a line with a detailed JSON object."""
        self.scored += sum(len(name) + 1 for name in names)
        scores = zip(self.source.generator.judge(names), self._spelled(names), strict=True)
        return b"".join(detail_json(score, name) + b"\n" for score, name in scores)
