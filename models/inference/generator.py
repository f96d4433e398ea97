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
from models.inference.frozen import FrozenModel
from models.inference.lines import Form, LineWriter
from models.inference.memory import PrefixMemory, PrefixTree
from models.inference.pace import Pace, enough
from models.inference.planning import make_plan
from models.inference.sampler import MAX_SEED, SamplingOptions
from models.manifest import MAX_NAME_LENGTH, Manifest
from models.spelling import fold, normalize
from models.vocabulary import END, Vocabulary

# Probabilities are told to this many decimals: fine enough for anyone, coarse enough to be the same on every machine.
DECIMALS = 6


@dataclass(frozen=True)
class Batch:
    """One answer. `refused` counts candidates by the constraint that refused them; `next_offset` is where the next
    page starts.
    """

    names: list[str]
    seed: int
    offset: int
    attempts: int
    complete: bool
    refused: dict[str, int]

    @property
    def next_offset(self) -> int:
        """The first candidate that this answer did not look at."""
        return self.offset + self.attempts


@dataclass(frozen=True)
class CharacterScore:
    """One step of a name: the character ("." for the end) and the natural logarithm of its probability."""

    character: str
    log_prob: float


@dataclass(frozen=True)
class Score:
    """How likely the model (at temperature 1) finds a name, end token included, and whether the name is in its list."""

    name: str
    log_prob: float
    in_training: bool
    characters: tuple[CharacterScore, ...]


@dataclass
class Sieve:
    """Refuses candidates: None is one that grew too long, which the sampler found out already."""

    unique: bool
    known: frozenset[str]
    seen: set[str] = field(default_factory=set)
    refused: dict[str, int] = field(default_factory=lambda: {"max_length": 0, "unique": 0, "novel": 0})

    def all_pass(self, names: Sequence[str | None]) -> bool:
        """Say whether none of `names` would be refused; only then they count as seen."""
        fresh = set(names)
        if None in fresh or not self.known.isdisjoint(fresh):
            return False
        if self.unique:
            if len(fresh) < len(names) or not self.seen.isdisjoint(fresh):
                return False
            self.seen.update(map(str, fresh))
        return True

    def passes(self, name: str | None) -> bool:
        """Return whether the candidate passes, and count it if not."""
        reason = self._reason(name)
        if reason is not None:
            self.refused[reason] += 1
        return reason is None

    def _reason(self, name: str | None) -> str | None:
        if name is None:
            return "max_length"
        if name in self.known:
            return "novel"
        if not self.unique:
            return None
        if name in self.seen:
            return "unique"
        self.seen.add(name)
        return None


class NameGenerator:
    """One version, ready to invent names. Safe to share between threads: nothing in it changes, but that writers of
    lines are kept once they are made.
    """

    def __init__(self, manifest: Manifest, model: FrozenModel, names: Collection[str], kernels: Kernels) -> None:
        self.manifest = manifest
        self.vocabulary: Vocabulary = manifest.alphabet
        self.names = frozenset(names)
        self.longest = manifest.data.longest
        self.vocab_size = model.vocab_size
        self._kernels = kernels
        self._arrays = (model.table, model.activation, model.stages, model.weights)
        self.plan = make_plan(model, kernels)
        self.multiply_adds = self.plan.multiply_adds
        self._writers: dict[tuple[Form, bool], LineWriter] = {}
        self._code_points = np.array([0, *map(ord, self.vocabulary.characters)], np.uint32)

    def generate(
        self,
        count: int,
        *,
        seed: int,
        offset: int = 0,
        options: SamplingOptions | None = None,
        max_length: int | None = None,
        unique: bool = True,
        novel: bool = False,
        max_attempts: int | None = None,
        memory: PrefixMemory | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Batch:
        """Return `count` names in lower case, or fewer with `complete` false once `max_attempts` candidates were drawn.

        `max_length` is the list's longest name by default, the budget 50 x count + 1,000. `unique`: no repeats in this
        answer; `novel`: none of the model's list. `memory` makes it faster and changes nothing. Where `stopped` comes
        true, which is asked every few milliseconds, the answer is what there is by then. Raises `OptionError`, and
        `UnknownCharacter` for the prefix.
        """
        options = options or SamplingOptions()
        prefix, longest = self.opening(options, max_length, seed, offset)
        budget = 50 * count + 1000 if max_attempts is None else max_attempts
        sieve = Sieve(unique, self.names if novel else frozenset())
        names: list[str] = []
        attempts = 0
        pace = Pace()
        while attempts < budget and len(names) < count and not stopped():
            n = min(pace.size, budget - attempts, enough(count - len(names), len(names), attempts))
            with pace.measured(n):
                drawn = self.candidates(prefix, options, longest, seed, offset + attempts, n, memory)
                attempts += _sift(drawn, sieve, names, count)
        return Batch(names, seed, offset, attempts, len(names) == count, sieve.refused)

    def opening(
        self, options: SamplingOptions, max_length: int | None, seed: int, offset: int
    ) -> tuple[NDArray[np.int64], int]:
        """Return the prefix's indices and the greatest length. Raises `OptionError`, `UnknownCharacter`."""
        longest = self.longest if max_length is None else max_length
        _check_range("seed", seed, MAX_SEED)
        _check_range("offset", offset, MAX_SEED)
        return self._encode_prefix(options, longest), longest

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
        with (memory or PrefixMemory(0)).lend(self.plan, options, n) as tree:
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
        self._kernels.sample(
            self.plan.stages,
            self.plan.terms,
            self.plan.keep,
            self.plan.weights,
            *tree.arrays(),
            tree.ring,
            self.plan.width,
            prefix,
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
            self._writers[form, title] = LineWriter(self.vocabulary, form, title, self._kernels.write_lines)
        return self._writers[form, title]

    def score(self, names: Sequence[str]) -> list[Score]:
        """Return how likely each name is at temperature 1. Raises `UnknownCharacter`."""
        return [self._score(normalize(name)) for name in names]

    def _score(self, name: str) -> Score:
        outcomes = [*self.vocabulary.encode(name), END]
        logits = np.empty((len(outcomes), len(self.vocabulary)), np.float32)
        self._kernels.logits(*self._arrays, np.array([END, *outcomes[:-1]], np.int64), logits)
        wide = logits.astype(np.float64)
        wide -= wide.max(axis=1, keepdims=True)
        log_probs = wide[np.arange(len(outcomes)), outcomes] - np.log(np.exp(wide).sum(axis=1))
        steps = [round(value, DECIMALS) for value in log_probs.tolist()]
        characters = tuple(CharacterScore(self.vocabulary.itos[i], p) for i, p in zip(outcomes, steps, strict=True))
        return Score(name, round(sum(steps), DECIMALS), name in self.names, characters)

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
            return np.array(self.vocabulary.encode(prefix), np.int64)
        except UnknownCharacter as error:
            raise UnknownCharacter(str(error), field="prefix", allowed=error.allowed) from None


def _sift(drawn: Sequence[str | None], sieve: Sieve, names: list[str], count: int) -> int:
    """Add what passes to `names` until there are `count`, and return how many of `drawn` were looked at."""
    if len(drawn) <= count - len(names) and sieve.all_pass(drawn):
        names += map(str, drawn)
        return len(drawn)
    for looked, name in enumerate(drawn, 1):
        if sieve.passes(name):
            names.append(str(name))
            if len(names) == count:
                return looked
    return len(drawn)


def _check_range(name: str, value: int, high: int, low: int = 0) -> None:
    if not low <= value <= high:
        raise OptionError(f"{name} is {value}; allowed: {low} to {high}.", field=name, allowed=f"{low} to {high}")
