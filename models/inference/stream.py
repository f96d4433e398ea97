"""The names of one request, a piece at a time: the same ones in the same order as `NameGenerator.generate`, for as many
as one likes in constant memory (but for `unique`, which remembers). No bytes are made here and no threads.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.inference.constraints import UNFIT, Constraints, Sieve
from models.inference.generator import NameGenerator, drawn_characters
from models.inference.memory import PrefixMemory
from models.inference.pace import Pace, enough
from models.inference.sampler import SamplingOptions

Codes = NDArray[np.int32]
Lines = TypeVar("Lines")
# From codes, lengths (negative: refused) and a limit: the lines, how many names, how many candidates were looked at.
Writer = Callable[[Codes, Codes, int], tuple[Lines, int, int]]


class NameStream:
    """Draws until `count` names passed or `max_attempts` candidates were looked at. For one thread at a time.

    Arguments and errors are those of `NameGenerator.generate`.
    """

    def __init__(
        self,
        generator: NameGenerator,
        count: int,
        *,
        seed: int,
        offset: int = 0,
        options: SamplingOptions | None = None,
        constraints: Constraints | None = None,
        max_attempts: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.generator, self.count, self.seed, self.offset = generator, count, seed, offset
        self._options, constraints = options or SamplingOptions(), constraints or Constraints()
        self._prefix, self._longest = generator.opening(self._options, constraints, seed, offset)
        self._budget = 50 * count + 1000 if max_attempts is None else max_attempts
        self._sieve = Sieve(constraints, generator.looks, generator.vocabulary.loose)
        self._pace = pace or Pace()
        # Characters: all that were drawn, ends and refused candidates included.
        self.names = self.attempts = self.characters = 0

    @property
    def complete(self) -> bool:
        """Whether all names were found."""
        return self.names == self.count

    @property
    def finished(self) -> bool:
        """Whether there is no more to draw: all names are there, or the budget is spent."""
        return self.complete or self.attempts >= self._budget

    @property
    def next_offset(self) -> int:
        """The first candidate that was not looked at."""
        return self.offset + self.attempts

    @property
    def refused(self) -> dict[str, int]:
        """How many candidates each constraint refused so far."""
        return self._sieve.refused

    @property
    def size(self) -> int:
        """How many candidates the next piece draws."""
        wanted = self.count - self.names
        return min(self._pace.size, self._budget - self.attempts, enough(wanted, self.names, self.attempts))

    def piece(self, write: Writer[Lines], memory: PrefixMemory | None = None) -> Lines:
        """Draw some milliseconds' worth of candidates, and return what `write` makes of those that pass."""
        wanted, n = self.count - self.names, self.size
        with self._pace.measured(n):
            codes, lengths = self.generator.draw(
                self._prefix, self._options, self._longest, self.seed, self.next_offset, n, memory
            )
            self.characters += drawn_characters(codes)
            self._sieve.mark(codes, lengths)
            if self._sieve.reads:
                self._refuse(codes, lengths, wanted)
            lines, names, looked = write(codes, lengths, wanted)
        self._sieve.count(lengths[:looked])
        self.names += names
        self.attempts += looked
        return lines

    def _refuse(self, codes: Codes, lengths: Codes, wanted: int) -> None:
        """Mark the candidates that the sieve refuses, up to the last name that is wanted."""
        passing, looked = self._sieve.sift(self.generator.texts(codes, lengths), wanted)
        unfit = lengths[:looked] >= 0
        unfit[passing] = False
        lengths[:looked][unfit] = UNFIT
