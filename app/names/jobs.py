"""Requests sampled in chunks: a JSON answer, or the lines of a stream. No HTTP and no threads."""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from app.names.generation import (
    SCORED_CHARACTER_COST,
    SamplerCache,
    attempt_budget,
    detail_json,
    inline_candidate_limit,
    needs_scores,
    seed_of,
    validate_for_media_type,
)
from app.names.scoring import next_batch
from app.responses import GenerateAnswer
from app.schemas import GenerateQuery
from app.web.negotiation import CSV, JSON, NDJSON, TEXT
from models import inference
from models.blends import Source
from models.inference import NameStream, PrefixMemory
from models.inference.prepared import Codes
from models.inference.stream import FIRST_CHUNK
from models.kernel.prefix_cache import MAX_CHUNK
from models.spelling import capitalize_all

# Candidates of a chunk whose names are scored: a job that is stopped must not leave many names to score.
SCORED_CHUNK = 32
LINE_FORMATS = {TEXT: inference.TEXT, CSV: inference.CSV, NDJSON: inference.NDJSON}


class SamplingJob:
    """A request with a seed, sampled in chunks of some milliseconds.

    Raises `OptionError` and `UnknownCharacter` when created, and nothing later. `first_chunk`: its candidates.
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
        limit = inline_candidate_limit(request, source)
        # Half of the candidates may be rejected.
        self._inline_limit = limit if 2 * request.count <= limit else 0
        # Characters of scored names, their ends included.
        self.scored = 0
        # The names of a JSON answer, their log-probabilities, and their details as JSON: objects for all characters of
        # thousands of names would make the garbage collector stop all threads for a fifth of a second.
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
        """Whether the next chunk takes about a millisecond, and the whole job is short: many may start at once."""
        return self.stream.attempts + self.stream.size <= self._inline_limit

    @property
    def shows_its_end(self) -> bool:
        """Whether the stream is complete, or its last record says that it is not."""
        return self.media == NDJSON or self.stream.complete

    def stop(self) -> None:
        """Sample no more: the job ends with what there is."""
        self.stopped = True

    def _figures(self) -> dict[str, Any]:
        stream = self.stream
        return {
            "complete": stream.complete,
            "attempts": stream.attempts,
            "next_offset": stream.next_offset,
            "acceptance_rate": round(stream.names / stream.attempts, 6) if stream.attempts else 0.0,
            "refused": stream.refused,
        }

    def next_chunk(self) -> bytes:
        """Work for some milliseconds, and return what can be sent; `finished` is set with the last chunk."""
        raise NotImplementedError


class GenerateJob(SamplingJob):
    """The answer as JSON, which comes with the last chunk."""

    def next_chunk(self) -> bytes:
        """Sample or score for some milliseconds. Names are scored before more are sampled."""
        self.started = True
        if self.needs_scores and len(self._scores) < len(self._names):
            self._score()
        elif not self.stopped:
            self._names += self.stream.next_names(self.memory)
        has_scores = not self.needs_scores or len(self._scores) == len(self._names)
        self.finished = has_scores and (self.stopped or self.stream.finished)
        return self._answer() if self.finished else b""

    def _score(self) -> None:
        for score in self.source.generator.judge(next_batch(self._names, len(self._scores))):
            self.scored += len(score.name) + 1
            details = detail_json(score, self.request.case) if self.request.details else b""
            self._scores.append((score.log_prob, details))

    def _answer(self) -> bytes:
        request, stream, names = self.request, self.stream, self._names
        order: Sequence[int] = range(len(names))
        if request.sort == "likelihood":
            # Equally likely names keep their order.
            order = sorted(order, key=lambda i: -self._scores[i][0])
            names = [names[i] for i in order]
        if request.case == "title":
            names = capitalize_all(names)
        answer = GenerateAnswer(
            dataset=self.source.dataset,
            model=self.source.model,
            seed=stream.seed,
            offset=stream.offset,
            temperature=request.temperature,
            **self._figures(),
            names=[] if request.details else names,
        )
        json = answer.model_dump_json().encode()
        if request.details:
            json = json.removesuffix(b"]}") + b",".join(self._scores[i][1] for i in order) + b"]}"
        return json


class StreamEnd(BaseModel):
    """How a stream ended."""

    complete: bool
    attempts: int
    next_offset: int
    acceptance_rate: float
    refused: dict[str, int]


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
            lines += self.stream.next_lines(
                self._write_details if self.request.details else self._writer(), self.memory
            )
        self.finished = self.stopped or self.stream.finished
        if self.finished and self.media == NDJSON:
            lines += StreamTrailer(end=StreamEnd(**self._figures())).model_dump_json().encode() + b"\n"
        return lines

    def _writer(self) -> inference.LineWriter:
        return self.source.generator.writer(LINE_FORMATS[self.media], self.request.case == "title")

    def _write_details(self, codes: Codes, lengths: Codes, limit: int) -> tuple[bytes, int, int]:
        """Write each name as a detailed JSON object; the counterpart of `LineWriter`."""
        generator, candidates = self.source.generator, 0
        lines: list[bytes] = []
        for text in self.stream.sampler.texts(codes, lengths):
            if len(lines) == limit:
                break
            candidates += 1
            if text is not None:
                self.scored += len(text) + 1
                lines.append(detail_json(generator.judge([text])[0], self.request.case) + b"\n")
        return b"".join(lines), len(lines), candidates
