"""The names of one request, a chunk at a time: any number of them in constant memory, except for `unique`, which
remembers what it has seen. No bytes are made here and no threads.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from models.inference.constraints import UNFIT, ConstraintFilter
from models.inference.prepared import Codes, PreparedSampler, check_range
from models.kernel.prefix_cache import MAX_CHUNK, PrefixMemory

# Seconds of a chunk: long beside the hop to a thread (0.1 ms), short beside the 100 ms in which work for a client that
# left must end.
CHUNK_SECONDS = 0.008
# Candidates of a chunk. The first one is small, because a model may be slow, unless its speed is known.
MIN_CHUNK, FIRST_CHUNK = 16, 64
Lines = TypeVar("Lines")
# From codes, lengths (negative: rejected) and a limit: the lines, how many names, how many candidates it looked at.
Writer = Callable[[Codes, Codes, int], tuple[Lines, int, int]]


class NameStream:
    """Draws until it has `count` names or has looked at `max_attempts` candidates: 50 x count + 1,000 by default.

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
        self._filter = ConstraintFilter(sampler.constraints, sampler.known, sampler.vocabulary.loose)
        self._chunk, self._max_chunk, self._clock = min(first_chunk, max_chunk), max_chunk, clock
        # Characters: all that were drawn, ends and rejected candidates included.
        self.names = self.attempts = self.characters = 0

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
        return self._filter.refused

    @property
    def size(self) -> int:
        """How many candidates the next chunk draws."""
        wanted = self.count - self.names
        # As many as likely hold the names that are wanted.
        likely = wanted * max(1, -(-self.attempts // max(self.names, 1)))
        return min(self._chunk, self._budget - self.attempts, likely)

    def next_names(self, memory: PrefixMemory | None = None) -> list[str]:
        """Draw a chunk, and return its names in lower case."""
        start, wanted, n = self._clock(), self.count - self.names, self.size
        codes, lengths = self._draw(n, memory)
        texts = self.sampler.texts(codes, lengths)
        passing, looked = self._filter.select(texts, wanted)
        self._count(lengths[:looked], len(passing))
        self._set_chunk(n, start)
        return [str(texts[i]) for i in passing]

    def next_lines(self, write: Writer[Lines], memory: PrefixMemory | None = None) -> Lines:
        """Draw a chunk, and return what `write` makes of it. Rejected candidates have negative lengths."""
        start, wanted, n = self._clock(), self.count - self.names, self.size
        codes, lengths = self._draw(n, memory)
        if self._filter.reads:
            passing, looked = self._filter.select(self.sampler.texts(codes, lengths), wanted)
            unfit = lengths[:looked] >= 0
            unfit[passing] = False
            lengths[:looked][unfit] = UNFIT
        lines, names, looked = write(codes, lengths, wanted)
        self._count(lengths[:looked], names)
        self._set_chunk(n, start)
        return lines

    def _draw(self, n: int, memory: PrefixMemory | None) -> tuple[Codes, Codes]:
        codes, lengths = self.sampler.draw(self.seed, self.next_offset, n, memory)
        # Codes are 0 beyond a name, and each candidate has an end.
        self.characters += int((codes != 0).sum()) + n
        self._filter.mark(codes, lengths)
        return codes, lengths

    def _count(self, lengths: Codes, names: int) -> None:
        self.names += names
        self.attempts += len(lengths)
        if names < len(lengths):
            self._filter.count(lengths)

    def _set_chunk(self, n: int, start: float) -> None:
        """Let the next chunk take `CHUNK_SECONDS`, but draw at most four times as many candidates as this one."""
        seconds = max(self._clock() - start, 1e-9)
        self._chunk = max(MIN_CHUNK, min(int(n * CHUNK_SECONDS / seconds), 4 * self._chunk, self._max_chunk))
