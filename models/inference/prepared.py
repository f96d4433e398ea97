"""Check and encode options and constraints for one model, once for all seeds, offsets and counts.

Candidates are drawn here, and selected by their constraints; `stream` asks for them chunk by chunk.
"""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.casing import Case, Casing
from models.errors import OptionError, UnknownCharacter
from models.inference.constraints import REASONS, REFUSED, RUN, WRITTEN, Constraints
from models.inference.jit import Kernels
from models.inference.lines import Form, LineWriter, Writer, writer_of
from models.inference.predictor import Predictor
from models.inference.selection import NO_NAMES, Rules, rules_of
from models.kernel.freeze import Floats
from models.kernel.int8.distribution import POWERS, inverse_temperature, share_limit
from models.kernel.prefix_cache import PrefixMemory, TreeKey
from models.kernel.sample import LAST_NUMBER, MAX_SEED, NOT_KEPT, WORK, SamplingOptions, space_size
from models.manifest import MAX_NAME_LENGTH
from models.spelling import fold, fold_sigmas
from models.vocabulary import Vocabulary

Codes = NDArray[np.int32]
# The arguments of `draw_names` that say what is offensive, and how names are written: nothing, and not at all.
_NO_WORDS = (np.zeros((1, 1), np.int32), np.zeros(1, np.int64), np.zeros((0, 1), np.int32), np.zeros((1, 3), np.uint64))
_NONE = np.zeros(0, np.int32)
_ANYTHING = (*_NO_WORDS, _NONE, _NONE, _NONE, NO_NAMES)
_NOT_WRITTEN = (
    np.zeros((2, 1, 1), np.uint8),
    np.zeros((2, 1), np.int64),
    np.zeros(1, np.int8),
    np.zeros(1, np.int8),
    np.zeros((4, 1), np.uint8),
    np.zeros(4, np.int64),
    False,
)
_NOTHING = np.zeros(0, np.uint8)
_numbers = itertools.count(1)
# The space to work in of each thread, which grows with its calls: to allocate it takes longer than some calls.
_local = threading.local()


@lru_cache(4096)
def _number(*options: object) -> int:
    """Return a number for these options, by which the kernel finds its cached boundaries.

    See `sample.Choice`.
    """
    number = next(_numbers)
    return number if number <= LAST_NUMBER else NOT_KEPT


def _spaces(work: int, space: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return this thread's arrays, of at least `work` and `space` numbers."""
    spaces: tuple[NDArray[np.int32], NDArray[np.float32]] | None = getattr(_local, "spaces", None)
    if spaces is None or len(spaces[0]) < work or len(spaces[1]) < space:
        before = (0, 0) if spaces is None else tuple(map(len, spaces))
        spaces = np.empty(max(work, before[0]), np.int32), np.empty(max(space, before[1]), np.float32)
        _local.spaces = spaces
    return spaces


class PreparedSampler:
    """Draws candidates of one model. Threads may share it: it only adds writers.

    `looks` and `known` return what novel names may not look like, as text and as codes; `writers`: those of the model
    so far, by form and case; `casing`: how its list spells names; `longest`: the greatest length where `constraints`
    sets none; `shares` (M,): weights of a blend's models. Raises `OptionError` and `UnknownCharacter`.
    """

    def __init__(
        self,
        predictor: Predictor,
        kernels: Kernels,
        shares: Floats,
        looks: Callable[[], frozenset[str]],
        known: Callable[[], Codes],
        writers: dict[tuple[Form, Case], Writer],
        casing: Casing | None,
        longest: int,
        options: SamplingOptions,
        constraints: Constraints,
    ) -> None:
        plan, vocabulary = predictor.plan, predictor.vocabulary
        constraints = constraints.spelled(vocabulary)
        if options.prefix or options.excludes:
            prefix = vocabulary.spelled(fold_sigmas(options.prefix + RUN).removesuffix(RUN))
            excludes = vocabulary.spelled(options.excludes)
            options = replace(options, prefix=prefix, excludes=excludes)
        o = options
        self.vocabulary, self.looks, self.constraints = vocabulary, looks, constraints
        self.longest = longest if constraints.max_length is None else constraints.max_length
        ids = encode_prefix(predictor, options, self.longest)
        constraints.check(vocabulary, options, self.longest)
        # Characters that the model does not have need no mask.
        excluded = np.array(_excluded(vocabulary, o.excludes), np.int64)
        self.plan, self.kernels, self._space = plan, kernels, space_size(plan)
        self.prefix, self.options, self.shares = ids, options, shares
        self._key = TreeKey.of(plan, shares)
        # Arguments of the kernel before and after the tree's arrays.
        self._model = plan.arrays
        V = len(vocabulary)
        self._options = (
            plan.width,
            ids,
            shares,
            _number(o.temperature, o.top_k, o.top_p, o.min_length, o.excludes),
            excluded,
            np.float32(o.temperature),
            inverse_temperature(o.temperature),
            min(o.top_k or V, V),
            np.float32(o.top_p or 1.0),
            share_limit(o.top_p),
            POWERS,
            o.min_length,
            self.longest,
        )
        # Text is compared where names may look alike, or characters may join.
        self.compares_text = vocabulary.joins or (vocabulary.loose and (constraints.novel or constraints.unique))
        rules = Rules(_NONE, _NONE, _NONE, NO_NAMES)
        if not self.compares_text:
            rules = rules_of(constraints, vocabulary, known() if constraints.novel else NO_NAMES)
        words = _NO_WORDS if constraints.unsafe is None else constraints.unsafe.arrays
        self.selection = (*words, *rules)
        self._writers, self._casing = writers, casing

    def writer(self, form: Form, case: Case) -> Writer:
        """Return what writes names in this form and case."""
        if (form, case) not in self._writers:
            made = writer_of(self.vocabulary, form, case, self._casing, self.kernels.write_lines)
            self._writers[form, case] = made
        return self._writers[form, case]

    def written(self, writer: Writer, codes: Codes, lengths: Codes) -> bytes:
        """Return the lines of what `select` gave."""
        if isinstance(writer, LineWriter):
            return writer(codes, lengths, len(lengths))[0]
        return writer(self.texts(codes, lengths))

    def draw(self, seed: int, first: int, n: int, memory: PrefixMemory | None = None) -> tuple[Codes, Codes]:
        """Return candidates first .. first + n - 1 as codes (n, longest), 0 beyond the end, and lengths (n,).

        A candidate that is longer than `longest` has a negative length. `memory` makes it faster and changes nothing.
        """
        codes, lengths = np.empty((n, self.longest), np.int32), np.empty(n, np.int32)
        counts = np.zeros(REFUSED + len(REASONS), np.int64)
        self._call(_ANYTHING, None, NO_NAMES, seed, first, -1, codes, lengths, counts, memory)
        return codes, lengths

    def texts(self, codes: Codes, lengths: Codes) -> list[str | None]:
        """Return what `draw` gave as text; None where the length is negative."""
        texts: list[str | None] = [*self.vocabulary.texts(codes)]
        for i in (lengths < 0).nonzero()[0].tolist():
            texts[i] = None
        return texts

    def select(
        self,
        seed: int,
        first: int,
        n: int,
        wanted: int,
        seen: Codes,
        counts: NDArray[np.int64],
        writer: LineWriter | None = None,
        memory: PrefixMemory | None = None,
    ) -> tuple[Codes, Codes, bytes]:
        """Draw n candidates, select names among them, and write those: return codes, lengths and bytes.

        `counts` grows by what became of the candidates, until counts[NAMES] is `wanted`; rejected ones have a negative
        length. With a negative `wanted` only offensive ones are rejected, and nothing is written.
        """
        codes, lengths = np.empty((n, self.longest), np.int32), np.empty(n, np.int32)
        written = self._call(self.selection, writer, seen, seed, first, wanted, codes, lengths, counts, memory)
        return codes, lengths, written

    def _call(
        self,
        selection: tuple[NDArray[Any], ...],
        writer: LineWriter | None,
        seen: Codes,
        seed: int,
        first: int,
        wanted: int,
        codes: Codes,
        lengths: Codes,
        counts: NDArray[np.int64],
        memory: PrefixMemory | None,
    ) -> bytes:
        n, memory = len(lengths), memory or PrefixMemory(0)
        out = _NOTHING
        if writer is not None:
            out = np.empty(n * (writer.frame_bytes + self.longest * writer.character_bytes), np.uint8)
        tree = memory.take(self._key, self.plan, n)
        try:
            self.kernels.draw_names(
                *self._model,
                *tree.arrays,
                *_spaces(n * (tree.ring + WORK), self._space),
                tree.ring,
                *self._options,
                *selection,
                *(_NOT_WRITTEN if writer is None else writer.arrays),
                seen,
                seed,
                first,
                wanted,
                codes,
                lengths,
                out,
                counts,
            )
        finally:
            memory.give_back(self._key, tree)
        return b"" if writer is None else out[: counts[WRITTEN]].tobytes()

    def candidates(self, seed: int, first: int, n: int, memory: PrefixMemory | None = None) -> list[str | None]:
        """Return candidates first .. first + n - 1; None for one that is longer than `longest`."""
        return self.texts(*self.draw(seed, first, n, memory))


def encode_prefix(predictor: Predictor, options: SamplingOptions, longest: int) -> NDArray[np.int64]:
    """Return the prefix's indices. Raises `OptionError` and `UnknownCharacter` where no name can have it."""
    check_range("max_length", longest, MAX_NAME_LENGTH, low=1)
    prefix = fold(predictor.vocabulary.spelled(options.prefix))
    if options.min_length > longest:
        raise OptionError(
            f"min_length is {options.min_length}, above max_length, which is {longest}.",
            field="min_length",
            allowed=f"between 1 and {longest}, which is max_length",
        )
    characters = predictor.vocabulary.split(prefix)
    if len(characters) > longest:
        raise OptionError(
            f"prefix has {len(characters)} characters, above max_length, which is {longest}.",
            field="prefix",
            allowed=f"at most {longest} characters long, which is max_length (at most {MAX_NAME_LENGTH})",
        )
    try:
        ids = np.array(predictor.vocabulary.indices(characters), np.int64)
    except UnknownCharacter as error:
        raise UnknownCharacter(str(error), field="prefix", allowed=error.allowed) from None
    if prefix and not predictor.knows(ids):
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


def _excluded(vocabulary: Vocabulary, excludes: str) -> list[int]:
    """Return the indices of the characters that are never drawn: with a code point of `excludes`, or bare marks."""
    if not vocabulary.clustered:
        return [vocabulary.stoi[c] for c in excludes if c in vocabulary.stoi]
    excluded = {i for c, i in vocabulary.stoi.items() if not set(c).isdisjoint(excludes)}
    return sorted(excluded | set(vocabulary.bare))


def _check_excludes(predictor: Predictor, prefix: str, excludes: str) -> None:
    vocabulary = predictor.vocabulary
    if not set(prefix).isdisjoint(excludes):
        raise OptionError(
            f"prefix {prefix!r} has a character of excludes.",
            field="prefix",
            allowed="text without the characters of excludes",
        )
    if len(_excluded(vocabulary, excludes)) == len(vocabulary.characters):
        raise OptionError(
            f"excludes has all characters of the model: {vocabulary.describe()}.",
            field="excludes",
            allowed=f"fewer than all characters of the model: {vocabulary.describe()}",
        )
