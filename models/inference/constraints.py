"""Which of the drawn candidates become names. They are only refused here, in the order of their indices, and never
changed; what conditions a distribution is `sample`'s.
"""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import OptionError, UnknownCharacter
from models.kernel.sample import TOO_LONG, SamplingOptions
from models.spelling import fold, twin
from models.vocabulary import Vocabulary

Codes = NDArray[np.int32]
# What the length of a refused candidate says, beside TOO_LONG.
UNSAFE, UNFIT = -2, -3
# In the order in which they are asked: the first to refuse a candidate counts it.
REASONS = ("max_length", "safe", "ends_with", "contains", "pattern", "novel", "unique")
ANY, RUN = "?", "*"


class Marker(Protocol):
    """Finds candidates that must not be told (see `keyword_filter`)."""

    def mark(self, codes: Codes, lengths: Codes) -> NDArray[np.bool_]:
        """Return which of the candidates (n, T), of so many characters each, are such; negative lengths never are."""


@dataclass(frozen=True)
class Constraints:
    """What a candidate must be to become a name; all text is compared folded.

    `max_length`: the longest name (the list's by default). `pattern`: letters as they are, ? for one character, * for
    any run. `unique`: no repeats in one answer. `novel`: none of the model's list. `unsafe` marks what is refused as
    indecent.
    """

    max_length: int | None = None
    ends_with: str = ""
    contains: str = ""
    pattern: str = ""
    novel: bool = False
    unique: bool = True
    unsafe: Marker | None = None

    def check(self, vocabulary: Vocabulary, options: SamplingOptions, longest: int) -> None:
        """Raise `UnknownCharacter` or `OptionError` where no name can be: characters that no name has, or lengths and
        beginnings that do not go together.
        """
        if not (self.ends_with or self.contains or self.pattern or options.prefix):
            return
        literal = self.pattern.replace(ANY, "").replace(RUN, "")
        for field, text in (("ends_with", self.ends_with), ("contains", self.contains), ("pattern", literal)):
            _check_characters(field, fold(text), vocabulary, options.excludes)
        prefix = fold(options.prefix)
        for field, least in (
            ("ends_with", _shortest(prefix, fold(self.ends_with))),
            ("contains", len(fold(self.contains))),
            ("pattern", len(fold(self.pattern).replace(RUN, ""))),
        ):
            if least > longest:
                beside = " beside the prefix" if field == "ends_with" and prefix else ""
                raise OptionError(
                    f"{field} needs at least {least} characters{beside}; max_length is {longest}.",
                    field=field,
                    allowed=f"text that fits into {longest} characters, which is max_length",
                )
        self._check_pattern(prefix, options.min_length)

    def _check_pattern(self, prefix: str, min_length: int) -> None:
        pattern = fold(self.pattern)
        head = pattern.partition(RUN)[0]
        if pattern and RUN not in pattern and len(pattern) < min_length:
            raise OptionError(
                f"pattern is for {len(pattern)} characters; min_length is {min_length}.",
                field="pattern",
                allowed=f"a pattern of at least {min_length} characters, which is min_length, or one with *",
            )
        differs = any(a not in (b, ANY) for a, b in zip(head, prefix, strict=False))
        if differs or (pattern and RUN not in pattern and len(pattern) < len(prefix)):
            raise OptionError(
                "No name has both this prefix and this pattern.",
                field="pattern",
                allowed="a pattern that fits the prefix",
            )


# Candidates as they come, but for those that are too long.
AS_DRAWN = Constraints(unique=False)


def _check_characters(field: str, text: str, vocabulary: Vocabulary, excludes: str) -> None:
    try:
        vocabulary.encode(text)
    except UnknownCharacter as error:
        raise UnknownCharacter(str(error), field=field, allowed=error.allowed) from None
    if not set(text).isdisjoint(excludes):
        raise OptionError(
            f"{field} has a character that excludes forbids.",
            field=field,
            allowed="text without the characters of excludes",
        )


def _shortest(prefix: str, ending: str) -> int:
    """Return the least length of a text that begins with the one and ends with the other: they may overlap."""
    most = len(prefix) + len(ending)
    for length in range(max(len(prefix), len(ending)), most):
        overlap = prefix[length - len(ending) :]
        if ending.startswith(overlap):
            return length
    return most


class ConstraintFilter:
    """The constraints of one answer, at work: what was seen, and how many candidates each reason refused. `loose`:
    names may look like others (see `Vocabulary.loose`), and then are those; `known` has them as `twin` spells them.
    """

    def __init__(self, constraints: Constraints, known: frozenset[str], loose: bool = False) -> None:
        self.refused = dict.fromkeys(REASONS, 0)
        self._unsafe, self._unique = constraints.unsafe, constraints.unique
        self._known = known if constraints.novel else frozenset[str]()
        self._ending, self._part = fold(constraints.ends_with), fold(constraints.contains)
        self._pattern = _matcher(fold(constraints.pattern)) if constraints.pattern else None
        self._loose = loose
        self._spelled = bool(self._ending or self._part or self._pattern)
        self._seen: set[str] = set()

    @property
    def reads(self) -> bool:
        """Whether candidates must be read as text."""
        return self._unique or self._spelled or bool(self._known)

    def mark(self, codes: Codes, lengths: Codes) -> None:
        """Give the length UNSAFE to candidates that must not be told."""
        if self._unsafe is not None:
            lengths[self._unsafe.mark(codes, lengths)] = UNSAFE

    def select(self, texts: Sequence[str | None], wanted: int) -> tuple[Sequence[int], int]:
        """Return which of `texts` pass, at most `wanted`, and how many were looked at: up to the last that was wanted,
        or all. None is one that was refused before.
        """
        if len(texts) <= wanted and self._all_pass(texts):
            return range(len(texts)), len(texts)
        passing: list[int] = []
        for i, text in enumerate(texts):
            if text is None:
                continue
            reason = self._reason(text)
            if reason is not None:
                self.refused[reason] += 1
                continue
            passing.append(i)
            if len(passing) == wanted:
                return passing, i + 1
        return passing, len(texts)

    def count(self, lengths: Codes) -> None:
        """Count the candidates, all of which were looked at, that were refused before they were read."""
        self.refused["max_length"] += int(np.count_nonzero(lengths == TOO_LONG))
        self.refused["safe"] += int(np.count_nonzero(lengths == UNSAFE))

    def _all_pass(self, texts: Sequence[str | None]) -> bool:
        """Say whether none of `texts` would be refused; only then they count as seen."""
        fresh = {self._listed(text) for text in texts} if self._loose else set(texts)
        if self._spelled or None in fresh or not self._known.isdisjoint(fresh):
            return False
        if self._unique:
            if len(fresh) < len(texts) or not self._seen.isdisjoint(fresh):
                return False
            self._seen.update(map(str, fresh))
        return True

    def _reason(self, name: str) -> str | None:
        if self._spelled and (reason := self._spelling(name)):
            return reason
        listed = self._listed(name)
        if listed in self._known:
            return "novel"
        if not self._unique:
            return None
        if listed in self._seen:
            return "unique"
        self._seen.add(str(listed))
        return None

    def _listed(self, name: str | None) -> str | None:
        return twin(name) if self._loose and name else name

    def _spelling(self, name: str) -> str | None:
        if not name.endswith(self._ending):
            return "ends_with"
        if self._part not in name:
            return "contains"
        return None if self._pattern is None or self._pattern.fullmatch(name) else "pattern"


def _matcher(pattern: str) -> re.Pattern[str]:
    """Return what matches whole names: fnmatch's expression, which never tries a * twice. Its [ is a letter here."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
