"""The names of one request in chunks: any number of them, in constant memory.

Only `unique` remembers the names so far. There are no threads here.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.inference.constraints import AS_DRAWN, NAMES, REASONS, REFUSED, SAFE, UNSAFE, ConstraintFilter
from models.inference.lines import LineWriter, Writer
from models.inference.prepared import Codes, PreparedSampler, check_range
from models.inference.selection import empty_table
from models.kernel.prefix_cache import MAX_CHUNK, PrefixMemory

# Seconds of a chunk: long beside the hop to a thread (0.1 ms), short beside the 100 ms in which work for a client that
# left must end.
CHUNK_SECONDS = 0.008
# Candidates of a chunk. The first one is small, because a model may be slow, unless its speed is known.
MIN_CHUNK, FIRST_CHUNK = 16, 64


class NameStream:
    """Draws until it has `count` names or `max_attempts` candidates (50 x count + 1,000).

    For one thread at a time. Chunks are of about the same duration whatever the model: `first_chunk` and `max_chunk`
    are candidates, `clock` returns seconds. They change no name. Raises `OptionError`.
    """

    def __init__(
        self,
        sampler: PreparedSampler,
        count: int,
        *,
        seed: int,
        offset: int = 0,
        max_attempts: int | None = None,
        first_chunk: int = FIRST_CHUNK,
        max_chunk: int = MAX_CHUNK,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        check_range("seed", seed)
        check_range("offset", offset)
        self.sampler, self.count, self.seed, self.offset = sampler, count, seed, offset
        self._budget = 50 * count + 1000 if max_attempts is None else max_attempts
        self._filter: ConstraintFilter | None = None
        if sampler.compares_text:
            looks = sampler.looks() if sampler.constraints.novel else frozenset[str]()
            self._filter = ConstraintFilter(sampler.constraints, looks, sampler.vocabulary.loose, sampler.vocabulary)
        self._misspelled = 0
        remembers = sampler.constraints.unique and not sampler.compares_text
        self._seen = empty_table(min(count, self._budget) if remembers else 0, sampler.longest)
        self._counts = np.zeros(REFUSED + len(REASONS), np.int64)
        # Names found, candidates looked at, and characters drawn, ends and rejected candidates included.
        self.names = self.attempts = self.characters = 0
        self._chunk, self._max_chunk, self._clock = min(first_chunk, max_chunk), max_chunk, clock

    @property
    def complete(self) -> bool:
        """Whether all names were found."""
        return self.names == self.count

    @property
    def finished(self) -> bool:
        """Whether there is no more to draw: all names are there, or the budget is spent."""
        return self.names == self.count or self.attempts >= self._budget

    @property
    def next_offset(self) -> int:
        """The first candidate that was not looked at."""
        return self.offset + self.attempts

    @property
    def refused(self) -> dict[str, int]:
        """How many candidates each constraint rejected so far."""
        return dict(zip(REASONS, self._counts[REFUSED:].tolist(), strict=True))

    @property
    def only_unsafe(self) -> int:
        """How many candidates `safe` rejected that meet the constraints on spelling."""
        return int(self._counts[REFUSED + SAFE]) - self._misspelled

    @property
    def size(self) -> int:
        """How many candidates the next chunk draws."""
        wanted = self.count - self.names
        # As many as likely hold the names that are wanted.
        likely = wanted * max(1, -(-self.attempts // max(self.names, 1)))
        return min(self._chunk, self._budget - self.attempts, likely)

    def next_names(self, memory: PrefixMemory | None = None) -> list[str]:
        """Draw a chunk, and return its names in lower case."""
        return [text for text in self.sampler.texts(*self._select(None, memory)[:2]) if text is not None]

    def next_bytes(self, writer: Writer, memory: PrefixMemory | None = None) -> bytes:
        """Draw a chunk, and return its names as `writer` writes them."""
        return self._select(writer, memory)[2]

    def _select(self, writer: Writer | None, memory: PrefixMemory | None) -> tuple[Codes, Codes, bytes]:
        """Draw a chunk; return its candidates' codes and lengths, and the bytes of its names."""
        start, n, counts = self._clock(), self.size, self._counts
        by_text, unsafe = self._filter is not None, counts[REFUSED + SAFE]
        in_kernel = writer if isinstance(writer, LineWriter) and not by_text else None
        codes, lengths, written = self.sampler.select(
            self.seed,
            self.offset + self.attempts,
            n,
            -1 if by_text else self.count,
            self._seen,
            counts,
            in_kernel,
            memory,
        )
        if self._filter is not None:
            self._filter.select(self.sampler.texts(codes, lengths), lengths, self.count, counts)
        before = self.attempts
        self.names, self.attempts, _, self.characters = counts[:REFUSED].tolist()
        looked = self.attempts - before
        if looked < n:
            codes, lengths = codes[:looked], lengths[:looked]
        if counts[REFUSED + SAFE] > unsafe:
            self._count_misspelled(codes[lengths == UNSAFE])
        if writer is not None and in_kernel is None:
            written = self.sampler.written(writer, codes, lengths)
        self._set_chunk(n, start)
        return codes, lengths, written

    def _count_misspelled(self, codes: Codes) -> None:
        """Count which candidates that `safe` rejected break a constraint on spelling as well."""
        spelled = replace(self.sampler.constraints, max_length=None, novel=False, unique=False, unsafe=None)
        if spelled != AS_DRAWN:
            counts, lengths = np.zeros_like(self._counts), (codes > 0).sum(1, dtype=np.int32)
            text_filter = ConstraintFilter(spelled, frozenset(), vocabulary=self.sampler.vocabulary)
            text_filter.select(self.sampler.texts(codes, lengths), lengths, -1, counts)
            self._misspelled += len(codes) - int(counts[NAMES])

    def _set_chunk(self, n: int, start: float) -> None:
        """Size the next chunk for `CHUNK_SECONDS`, at most four times as large as this one."""
        seconds = max(self._clock() - start, 1e-9)
        self._chunk = max(MIN_CHUNK, min(int(n * CHUNK_SECONDS / seconds), 4 * self._chunk, self._max_chunk))
