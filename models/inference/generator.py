"""From a model to names a person can use: drawing candidates, refusing some, saying how likely each is.

What a candidate is, the sampler decides; here candidates are only refused, in the order of their indices. No HTTP, no
files.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.errors import OptionError, UnknownCharacter
from models.inference.compiler import Kernels
from models.inference.constraints import Constraints, Sieve
from models.inference.frozen import Floats
from models.inference.lines import Form, LineWriter
from models.inference.memory import PrefixMemory, PrefixTree
from models.inference.pace import Pace, enough
from models.inference.predictor import Predictor
from models.inference.sampler import MAX_SEED, SamplingOptions
from models.inference.scores import NextCharacter, Score, next_characters, score
from models.manifest import MAX_NAME_LENGTH
from models.spelling import fold, normalize, twin


@dataclass(frozen=True)
class Batch:
    """One answer. `refused` counts candidates by the constraint that refused them; `next_offset` is where the next
    page starts. `characters`: how many were drawn in all, ends and refused candidates included: what the answer cost.
    """

    names: list[str]
    seed: int
    offset: int
    attempts: int
    complete: bool
    refused: dict[str, int]
    # How many were drawn in all: that depends on the pace, so it is no part of what an answer is.
    characters: int = field(default=0, compare=False, repr=False)

    @property
    def next_offset(self) -> int:
        """The first candidate that this answer did not look at."""
        return self.offset + self.attempts


class NameGenerator:
    """One version or blend, ready to invent names. Safe to share between threads: nothing in it changes, but that
    writers of lines are kept once they are made.

    `names`: the lists that novel names are not in; `longest`: how long a name may be where nothing else is said;
    `shares` (M,): the weights of a blend's models, which add up to 1.
    """

    def __init__(
        self,
        predictor: Predictor,
        names: Collection[str],
        longest: int,
        kernels: Kernels,
        shares: Sequence[float] = (),
    ) -> None:
        self.predictor, self.longest, self.kernels = predictor, longest, kernels
        self.vocabulary, self.plan = predictor.vocabulary, predictor.plan
        self.names = names if isinstance(names, frozenset) else frozenset(names)
        self.shares: Floats = np.array(shares, np.float32)
        self.vocab_size = len(self.vocabulary)
        self.multiply_adds = self.plan.multiply_adds
        # What the names look like: in most alphabets themselves.
        self.looks = frozenset(map(twin, self.names)) if self.vocabulary.loose else self.names
        self._writers: dict[tuple[Form, bool], LineWriter] = {}
        self._code_points = np.array([0, *map(ord, self.vocabulary.characters)], np.uint32)

    def generate(
        self,
        count: int,
        *,
        seed: int,
        offset: int = 0,
        options: SamplingOptions | None = None,
        constraints: Constraints | None = None,
        max_attempts: int | None = None,
        memory: PrefixMemory | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Batch:
        """Return `count` names in lower case, or fewer with `complete` false once `max_attempts` candidates were drawn.

        The budget is 50 x count + 1,000 by default. `memory` makes it faster and changes nothing. Where `stopped` comes
        true, which is asked every few milliseconds, the answer is what there is by then. Raises `OptionError`, and
        `UnknownCharacter` for pieces of names.
        """
        options, constraints = options or SamplingOptions(), constraints or Constraints()
        prefix, longest = self.opening(options, constraints, seed, offset)
        budget = 50 * count + 1000 if max_attempts is None else max_attempts
        sieve = Sieve(constraints, self.looks, self.vocabulary.loose)
        names: list[str] = []
        attempts = characters = 0
        pace = Pace()
        while attempts < budget and len(names) < count and not stopped():
            n = min(pace.size, budget - attempts, enough(count - len(names), len(names), attempts))
            with pace.measured(n):
                codes, lengths = self.draw(prefix, options, longest, seed, offset + attempts, n, memory)
                characters += drawn_characters(codes)
                sieve.mark(codes, lengths)
                texts = self.texts(codes, lengths)
                passing, looked = sieve.sift(texts, count - len(names))
                if len(passing) < looked:
                    sieve.count(lengths[:looked])
                names += [str(texts[i]) for i in passing]
                attempts += looked
        return Batch(names, seed, offset, attempts, len(names) == count, sieve.refused, characters)

    def opening(
        self, options: SamplingOptions, constraints: Constraints, seed: int, offset: int
    ) -> tuple[NDArray[np.int64], int]:
        """Return the prefix's indices and the greatest length. Raises `OptionError`, `UnknownCharacter`."""
        longest = self.longest if constraints.max_length is None else constraints.max_length
        _check_range("seed", seed, MAX_SEED)
        _check_range("offset", offset, MAX_SEED)
        prefix = self._encode_prefix(options, longest)
        constraints.check(self.vocabulary, options, longest)
        return prefix, longest

    def candidates(
        self,
        prefix: NDArray[np.int64],
        options: SamplingOptions,
        longest: int,
        seed: int,
        first: int,
        n: int,
        memory: PrefixMemory | None = None,
    ) -> list[str | None]:
        """Return candidates first .. first + n - 1; None for one that is longer than `longest`."""
        return self.texts(*self.draw(prefix, options, longest, seed, first, n, memory))

    def draw(
        self,
        prefix: NDArray[np.int64],
        options: SamplingOptions,
        longest: int,
        seed: int,
        first: int,
        n: int,
        memory: PrefixMemory | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return candidates first .. first + n - 1 as codes (n, longest), 0 beyond the end, and lengths (n,).

        A candidate that is longer than `longest` has a negative length.
        """
        _check_range("n", n, MAX_SEED, low=1)
        codes, lengths = np.empty((n, longest), np.int32), np.empty(n, np.int32)
        with (memory or PrefixMemory(0)).lend(self.plan, options, n, self.shares.tobytes()) as tree:
            self._sample(tree, prefix, options, longest, seed, first, codes, lengths)
        return codes, lengths

    def _sample(
        self,
        tree: PrefixTree,
        prefix: NDArray[np.int64],
        options: SamplingOptions,
        longest: int,
        seed: int,
        first: int,
        codes: NDArray[np.int32],
        lengths: NDArray[np.int32],
    ) -> None:
        V = self.vocab_size
        self.kernels.sample(
            self.plan.stages,
            self.plan.terms,
            self.plan.keep,
            self.plan.weights,
            self.plan.alphabets,
            *tree.arrays(),
            tree.ring,
            self.plan.width,
            prefix,
            self.shares,
            self._excluded(options.excludes),
            np.float32(options.temperature),
            min(options.top_k or V, V),
            np.float32(options.top_p or 1.0),
            options.min_length,
            longest,
            np.uint64(seed),
            np.uint64(first),
            codes,
            lengths,
        )

    def texts(self, codes: NDArray[np.int32], lengths: NDArray[np.int32]) -> list[str | None]:
        """Return what `draw` gave as text; None where the length is negative."""
        # A row of code points, padded with zeros, is numpy's own form of a string.
        texts: list[str | None] = self._code_points[codes].view(f"<U{codes.shape[1]}")[:, 0].tolist()
        for i in np.flatnonzero(lengths < 0).tolist():
            texts[i] = None
        return texts

    def writer(self, form: Form, title: bool) -> LineWriter:
        """Return what writes this alphabet's names as lines, with capitals if `title`."""
        if (form, title) not in self._writers:
            self._writers[form, title] = LineWriter(self.vocabulary, form, title, self.kernels.write_lines)
        return self._writers[form, title]

    def score(self, names: Sequence[str]) -> list[Score]:
        """Return how likely each name is at temperature 1, as lists are spelled. Raises `UnknownCharacter`."""
        return self.judge([normalize(name) for name in names])

    def judge(self, drawn: Sequence[str]) -> list[Score]:
        """Return how likely each name is at temperature 1, as it was drawn: it may have what no list has, a blank at
        its end or a letter beside its accent. Raises `UnknownCharacter`.
        """
        return [score(self.predictor, self.shares, self.names, name) for name in drawn]

    def next_characters(self, prefix: str = "", temperature: float = 1.0) -> list[NextCharacter]:
        """Return all characters that may follow `prefix`, and the end, the most probable first. Raises `OptionError`,
        `UnknownCharacter`.
        """
        options = SamplingOptions(temperature=temperature, prefix=prefix)
        self._encode_prefix(options, MAX_NAME_LENGTH)
        return next_characters(self.predictor, self.shares, prefix, options.temperature)

    def _excluded(self, excludes: str) -> NDArray[np.int64]:
        """Return the indices of the characters that are masked; those that the model does not have need no mask."""
        stoi = self.vocabulary.stoi
        return np.array([stoi[character] for character in excludes if character in stoi], np.int64)

    def _encode_prefix(self, options: SamplingOptions, longest: int) -> NDArray[np.int64]:
        _check_range("max_length", longest, MAX_NAME_LENGTH, low=1)
        prefix = fold(options.prefix)
        if options.min_length > longest:
            raise OptionError(
                f"min_length is {options.min_length}, above max_length, which is {longest}.",
                field="min_length",
                allowed=f"1 to {longest}, the max_length",
            )
        if len(prefix) > longest:
            raise OptionError(
                f"prefix has {len(prefix)} characters, above max_length, which is {longest}.",
                field="prefix",
                allowed=f"at most {longest} characters, the max_length (which may be up to {MAX_NAME_LENGTH})",
            )
        try:
            ids = np.array(self.vocabulary.encode(prefix), np.int64)
        except UnknownCharacter as error:
            raise UnknownCharacter(str(error), field="prefix", allowed=error.allowed) from None
        self._check_known(prefix, ids)
        if options.excludes:
            self._check_excludes(prefix, options.excludes)
        return ids

    def _check_known(self, prefix: str, ids: NDArray[np.int64]) -> None:
        if not self.predictor.knows(ids):
            raise UnknownCharacter(
                f"No model of the blend knows all characters of {prefix!r}.",
                field="prefix",
                allowed="characters that one model of the blend knows",
            )

    def _check_excludes(self, prefix: str, excludes: str) -> None:
        if not set(prefix).isdisjoint(excludes):
            raise OptionError(
                f"prefix {prefix!r} has a character of excludes.",
                field="prefix",
                allowed="characters that excludes leaves",
            )
        if set(self.vocabulary.characters) <= set(excludes):
            raise OptionError(
                f"excludes has all characters of the model: {self.vocabulary.describe()}.",
                field="excludes",
                allowed=f"not all of the model's characters: {self.vocabulary.describe()}",
            )


def drawn_characters(codes: NDArray[np.int32]) -> int:
    """Return how many characters these candidates (n, longest), 0 beyond the end, took, each one's end included."""
    return int(np.count_nonzero(codes)) + len(codes)


def _check_range(name: str, value: int, high: int, low: int = 0) -> None:
    if not low <= value <= high:
        raise OptionError(f"{name} is {value}; allowed: {low} to {high}.", field=name, allowed=f"{low} to {high}")
