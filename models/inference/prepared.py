"""Check and encode options and constraints for one model, once for all seeds, offsets and counts.

Candidates are drawn here and never changed; `stream` selects names among them.
"""

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.errors import OptionError, UnknownCharacter
from models.inference.constraints import Constraints
from models.inference.jit import Kernels
from models.inference.predictor import Predictor
from models.kernel.freeze import Floats
from models.kernel.prefix_cache import PrefixMemory, TreeKey
from models.kernel.sample import MAX_SEED, SamplingOptions
from models.manifest import MAX_NAME_LENGTH
from models.spelling import fold

Codes = NDArray[np.int32]
_numbers = itertools.count(1)


@lru_cache(4096)
def _number(*options: object) -> int:
    return next(_numbers)


class PreparedSampler:
    """Draws candidates of one model. Safe to share between threads: nothing in it changes.

    `known`: what novel names may not look like; `longest`: the greatest length where `constraints` sets none; `shares`
    (M,): weights of a blend's models. Raises `OptionError` and `UnknownCharacter`.
    """

    def __init__(
        self,
        predictor: Predictor,
        kernels: Kernels,
        shares: Floats,
        known: frozenset[str],
        longest: int,
        options: SamplingOptions,
        constraints: Constraints,
    ) -> None:
        plan, vocabulary = predictor.plan, predictor.vocabulary
        self.vocabulary, self.known, self.constraints = vocabulary, known, constraints
        self.longest = longest if constraints.max_length is None else constraints.max_length
        prefix = encode_prefix(predictor, options, self.longest)
        constraints.check(vocabulary, options, self.longest)
        # Characters that the model does not have need no mask.
        excluded = np.array([vocabulary.stoi[c] for c in options.excludes if c in vocabulary.stoi], np.int64)
        self._plan, self._kernels, o = plan, kernels, options
        self._key = TreeKey.of(plan, shares)
        # Arguments of the kernel before and after the tree's arrays.
        self._model = (plan.stages, plan.terms, plan.keep, plan.weights, plan.alphabets)
        V = len(vocabulary)
        self._options = (
            prefix,
            shares,
            _number(o.temperature, o.top_k, o.top_p, o.min_length, o.excludes),
            excluded,
            np.float32(options.temperature),
            min(options.top_k or V, V),
            np.float32(options.top_p or 1.0),
            options.min_length,
            self.longest,
        )
        self._code_points = np.array([0, *map(ord, vocabulary.characters)], np.uint32)

    def draw(self, seed: int, first: int, n: int, memory: PrefixMemory | None = None) -> tuple[Codes, Codes]:
        """Return candidates first .. first + n - 1 as codes (n, longest), 0 beyond the end, and lengths (n,).

        A candidate that is longer than `longest` has a negative length. `memory` makes it faster and changes nothing.
        """
        codes, lengths = np.empty((n, self.longest), np.int32), np.empty(n, np.int32)
        memory = memory or PrefixMemory(0)
        tree = memory.take(self._key, self._plan, n)
        try:
            self._kernels.sample(
                *self._model,
                *tree.arrays(),
                tree.ring,
                self._plan.width,
                *self._options,
                np.uint64(seed),
                np.uint64(first),
                codes,
                lengths,
            )
        finally:
            memory.give_back(self._key, tree)
        return codes, lengths

    def texts(self, codes: Codes, lengths: Codes) -> list[str | None]:
        """Return what `draw` gave as text; None where the length is negative."""
        # A row of code points, padded with zeros, is numpy's own form of a string.
        texts: list[str | None] = self._code_points[codes].view(f"<U{codes.shape[1]}")[:, 0].tolist()
        for i in (lengths < 0).nonzero()[0].tolist():
            texts[i] = None
        return texts

    def candidates(self, seed: int, first: int, n: int, memory: PrefixMemory | None = None) -> list[str | None]:
        """Return candidates first .. first + n - 1; None for one that is longer than `longest`."""
        return self.texts(*self.draw(seed, first, n, memory))


def encode_prefix(predictor: Predictor, options: SamplingOptions, longest: int) -> NDArray[np.int64]:
    """Return the prefix's indices. Raises `OptionError` and `UnknownCharacter` where no name can have it."""
    check_range("max_length", longest, MAX_NAME_LENGTH, low=1)
    prefix = fold(options.prefix)
    if options.min_length > longest:
        raise OptionError(
            f"min_length is {options.min_length}, above max_length, which is {longest}.",
            field="min_length",
            allowed=f"between 1 and {longest}, which is max_length",
        )
    if len(prefix) > longest:
        raise OptionError(
            f"prefix has {len(prefix)} characters, above max_length, which is {longest}.",
            field="prefix",
            allowed=f"at most {longest} characters long, which is max_length (at most {MAX_NAME_LENGTH})",
        )
    try:
        ids = np.array(predictor.vocabulary.encode(prefix), np.int64)
    except UnknownCharacter as error:
        raise UnknownCharacter(str(error), field="prefix", allowed=error.allowed) from None
    if not predictor.knows(ids):
        raise UnknownCharacter(
            f"No model of the blend knows all characters of {prefix!r}.",
            field="prefix",
            allowed="text of characters that one model of the blend knows",
        )
    if options.excludes:
        _check_excludes(predictor, prefix, options.excludes)
    return ids


def check_range(name: str, value: int, high: int = MAX_SEED, low: int = 0) -> None:
    """Raise `OptionError` for a value out of range."""
    if not low <= value <= high:
        allowed = f"between {low} and {high}"
        raise OptionError(f"{name} is {value}; it must be {allowed}.", field=name, allowed=allowed)


def _check_excludes(predictor: Predictor, prefix: str, excludes: str) -> None:
    vocabulary = predictor.vocabulary
    if not set(prefix).isdisjoint(excludes):
        raise OptionError(
            f"prefix {prefix!r} has a character of excludes.",
            field="prefix",
            allowed="text without the characters of excludes",
        )
    if set(vocabulary.characters) <= set(excludes):
        raise OptionError(
            f"excludes has all characters of the model: {vocabulary.describe()}.",
            field="excludes",
            allowed=f"fewer than all characters of the model: {vocabulary.describe()}",
        )
