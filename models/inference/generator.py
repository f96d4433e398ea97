"""A model or blend, ready for use: names by options and constraints, and their likelihood.

It knows no HTTP and no files.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from models.casing import Case, Casing, spell_all
from models.inference.constraints import Constraints
from models.inference.jit import Kernels
from models.inference.lines import Form, Writer
from models.inference.predictor import Predictor
from models.inference.prepared import Codes, PreparedSampler, encode_prefix
from models.inference.scores import NextCharacter, Score, next_characters, score
from models.inference.selection import table_of
from models.inference.stream import NameStream
from models.kernel.freeze import Floats
from models.kernel.prefix_cache import PrefixMemory
from models.kernel.sample import SamplingOptions
from models.manifest import MAX_NAME_LENGTH
from models.spelling import twin
from models.styles import NO_STYLES, Styles
from models.vocabulary import Vocabulary

# Combinations of styles that a generator keeps ready, and the bytes that they take beside the version's own.
MAX_STYLED, MAX_STYLED_BYTES = 64, 16 * 2**20


@dataclass(frozen=True)
class Batch:
    """One answer. The next page starts at `next_offset`.

    `refused` counts candidates by the constraint that rejected them.
    """

    names: list[str]
    seed: int
    offset: int
    attempts: int
    complete: bool
    refused: dict[str, int]
    # Characters drawn, ends and rejected candidates included. They depend on the chunks, so they do not count as a part
    # of the answer.
    characters: int = field(default=0, compare=False, repr=False)

    @property
    def next_offset(self) -> int:
        """The first candidate that this answer did not look at."""
        return self.offset + self.attempts


class ListedNames(Collection[str]):
    """The names of one list: a collection, or text with one name on each line, whose set is made when it is needed.

    Most processes never need that of most lists.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def __iter__(self) -> Iterator[str]:
        """Return the names, without keeping more of them than there is."""
        return iter(self._names.split("\n") if isinstance(self._names, str) else self._names)

    def __len__(self) -> int:
        return self.measures[0]

    def __contains__(self, name: object) -> bool:
        return name in self.known

    @cached_property
    def measures(self) -> tuple[int, int, frozenset[str]]:
        """The number of names, the length of the longest in code points, and the letters of all."""
        # list(self) would ask for the length, which is made here.
        names = list(iter(self))
        return len(names), max(map(len, names), default=0), frozenset("".join(names))

    @cached_property
    def known(self) -> frozenset[str]:
        """The distinct names."""
        return frozenset(self)


def _looks(names: frozenset[str], vocabulary: Vocabulary) -> frozenset[str]:
    """Return what the names look like (see `twin`): in most lists themselves."""
    changed = {
        name: look
        for name in (names if vocabulary.loose else ())
        if not (vocabulary.irregular.isdisjoint(vocabulary.split(name)) and name == name.strip())
        and (look := twin(name, vocabulary.locale)) != name
    }
    return frozenset(changed.get(name, name) for name in names) if changed else names


class NameGenerator:
    """One version or blend, ready to generate names. Threads may share it.

    Nothing in it changes, except that it keeps the line writers and the generators of styles that it made.

    `names`: the training names; `longest`: the default for `max_length`, in characters; `shares` (M,): the weights of a
    blend's models, with a sum of 1; `styles`: the styles and values that `styled` takes; `lists`: those of a blend's
    models; `casing`: how the list spells names, None for title case.
    """

    def __init__(
        self,
        predictor: Predictor,
        names: ListedNames | Collection[str],
        longest: int,
        kernels: Kernels,
        shares: Sequence[float] = (),
        styles: Styles = NO_STYLES,
        lists: Sequence[ListedNames] = (),
        casing: Casing | None = None,
    ) -> None:
        self.predictor, self.longest, self.kernels = predictor, longest, kernels
        self.vocabulary, self.plan = predictor.vocabulary, predictor.plan
        self._list = names if isinstance(names, ListedNames) else ListedNames(names)
        self.lists = tuple(lists) or (self._list,)
        self.shares: Floats = np.array(shares, np.float32)
        self.vocab_size = len(self.vocabulary)
        self.multiply_adds = self.plan.multiply_adds
        self.styles = styles
        self.casing = casing
        self._writers: dict[tuple[Form, Case], Writer] = {}
        self._unstyled: NameGenerator | None = None
        self._styled = OrderedDict[tuple[int, ...], NameGenerator]()
        self._lock = threading.Lock()

    def styled(self, chosen: Mapping[str, str], model: str = "The model") -> "NameGenerator":
        """Return the generator with these values of its styles; the last ones asked for are kept.

        `model` names the model in errors. Raises `OptionError` for a style or a value that it does not know.
        """
        rows = self.styles.rows_of(chosen, model)
        if not rows:
            return self
        with self._lock:
            found = self._styled.get(rows)
        # It may take milliseconds, for which nobody should wait who asks for another style.
        made = found or self._with_rows(rows)
        with self._lock:
            found = self._styled.setdefault(rows, made)
            self._styled.move_to_end(rows)
            while len(self._styled) > max(1, min(MAX_STYLED, MAX_STYLED_BYTES // max(found.plan.own_bytes, 1))):
                self._styled.popitem(last=False)
        return found

    def _with_rows(self, rows: tuple[int, ...]) -> "NameGenerator":
        return self.sharing(self.predictor.styled(rows), self.shares, self.casing)

    def sharing(self, predictor: Predictor, shares: Floats, casing: Casing | None) -> "NameGenerator":
        """Return a generator of another predictor over the same lists and characters, which shares their tables."""
        other = copy(self)
        other.predictor, other.plan, other.shares, other.casing = predictor, predictor.plan, shares, casing
        other._writers, other.styles, other._unstyled = {}, NO_STYLES, self.unstyled
        return other

    @property
    def unstyled(self) -> "NameGenerator":
        """The generator whose tables this one shares: the one without a style, or this one."""
        return self._unstyled or self

    def prepare(
        self, options: SamplingOptions | None = None, constraints: Constraints | None = None
    ) -> PreparedSampler:
        """Return a sampler for these options and constraints.

        Raises `OptionError`, and `UnknownCharacter` for parts of names.
        """
        options, constraints = options or SamplingOptions(), constraints or Constraints()
        return PreparedSampler(
            self.predictor,
            self.kernels,
            self.shares,
            lambda: self.looks,
            lambda: self.known,
            self._writers,
            self.casing,
            self.longest,
            options,
            constraints,
        )

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
        """Return `count` names in lower case, or fewer after `max_attempts` candidates.

        `complete` is false if there are fewer.

        The budget is 50 x count + 1,000 by default. `memory` makes it faster and changes nothing. Where `stopped` comes
        true, which is asked every few milliseconds, the answer is what there is by then. Raises `OptionError`, and
        `UnknownCharacter` for pieces of names.
        """
        sampler = self.prepare(options, constraints)
        stream = NameStream(sampler, count, seed=seed, offset=offset, max_attempts=max_attempts)
        names: list[str] = []
        while not (stream.finished or stopped()):
            names += stream.next_names(memory)
        return Batch(names, seed, offset, stream.attempts, stream.complete, stream.refused, stream.characters)

    def spelled(self, names: Sequence[str], case: Case = "list") -> list[str]:
        """Return names in lower case as `case` says."""
        return spell_all(names, case, self.casing)

    @property
    def names(self) -> frozenset[str]:
        """The names of the lists."""
        return self._list.known

    @cached_property
    def looks(self) -> frozenset[str]:
        """What the names of the lists look like; one set for all styles."""
        if self._unstyled is not None:
            return self._unstyled.looks
        return _looks(self.names, self.vocabulary)

    @cached_property
    def known(self) -> Codes:
        """The names of the lists, as codes; one table for all styles."""
        if self._unstyled is not None:
            return self._unstyled.known
        return table_of(self.names, self.vocabulary, self.kernels.place_names)

    def score(self, names: Sequence[str]) -> list[Score]:
        """Return how likely each name is at temperature 1, as lists are spelled. Raises `UnknownCharacter`."""
        return self.judge([self.vocabulary.normalize(name) for name in names])

    def judge(self, drawn: Sequence[str]) -> list[Score]:
        """Return how likely each name is at temperature 1, in the spelling in which it was drawn.

        It may have features that no list has, such as a blank at its end or a letter beside its accent. Raises
        `UnknownCharacter`.
        """
        return [score(self.predictor, self.shares, self.names, name) for name in drawn]

    def next_characters(self, prefix: str = "", temperature: float = 1.0) -> list[NextCharacter]:
        """Return all characters that may follow `prefix`, and the end, the most probable first.

        Raises `OptionError`, `UnknownCharacter`.
        """
        options = SamplingOptions(temperature=temperature, prefix=prefix)
        encode_prefix(self.predictor, options, MAX_NAME_LENGTH)
        return next_characters(self.predictor, self.shares, prefix, options.temperature)
