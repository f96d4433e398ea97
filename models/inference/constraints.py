"""Which of the drawn candidates become names. They are only refused here, in the order of their indices, and never
changed; what conditions a distribution is `sample`'s.
"""

import fnmatch
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import OptionError, UnknownCharacter
from models.kernel.sample import TOO_LONG, SamplingOptions
from models.spelling import fold, fold_sigmas, twin
from models.vocabulary import Vocabulary

Codes = NDArray[np.int32]
# What the length of a refused candidate says, beside TOO_LONG.
UNSAFE, UNFIT = -2, -3
# In the order in which they are asked: the first to refuse a candidate counts it.
REASONS = ("max_length", "safe", "ends_with", "contains", "pattern", "novel", "unique")
MAX_LENGTH, SAFE, ENDS_WITH, CONTAINS, PATTERN, NOVEL, UNIQUE = range(len(REASONS))
# What `counts` of a selection holds: names, candidates looked at, bytes written, characters drawn, and from REFUSED on
# the rejected candidates by reason.
NAMES, LOOKED, WRITTEN, CHARACTERS, REFUSED = range(5)
_EARLY = {TOO_LONG: "max_length", UNSAFE: "safe"}
ANY, RUN = "?", "*"
WILDCARDS = ANY + RUN


class OffensiveWords(Protocol):
    """Finds offensive words in names (see `keyword_filter`)."""

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The arguments of `keyword_filter.find` that stand for the words."""


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
    unsafe: OffensiveWords | None = None

    def spelled(self, vocabulary: Vocabulary) -> "Constraints":
        """Return the constraints with the letters of this alphabet, and with the sigmas of their places in a name."""
        if not (self.ends_with or self.contains or self.pattern):
            return self
        return replace(
            self,
            ends_with=vocabulary.spelled(fold_sigmas(RUN + self.ends_with).removeprefix(RUN)),
            contains=vocabulary.spelled(fold_sigmas(RUN + self.contains + RUN)[1:-1]),
            pattern=vocabulary.spelled(fold_sigmas(self.pattern)),
        )

    def check(self, vocabulary: Vocabulary, options: SamplingOptions, longest: int) -> None:
        """Raise `UnknownCharacter` or `OptionError` where no name can be: characters that no name has, or lengths and
        beginnings that do not go together.
        """
        if not (self.ends_with or self.contains or self.pattern or options.prefix):
            return
        split, pattern = vocabulary.split, vocabulary.split(fold(self.pattern), WILDCARDS)
        literal = [c for c in pattern if c not in WILDCARDS]
        for field, text in (("ends_with", split(fold(self.ends_with))), ("contains", split(fold(self.contains)))):
            _check_characters(field, text, vocabulary, options.excludes)
        _check_characters("pattern", literal, vocabulary, options.excludes)
        prefix = split(fold(options.prefix))
        for field, least in (
            ("ends_with", _shortest(prefix, split(fold(self.ends_with)))),
            ("contains", len(split(fold(self.contains)))),
            ("pattern", len(pattern) - sum(c == RUN for c in pattern)),
        ):
            if least > longest:
                beside = " beside the prefix" if field == "ends_with" and prefix else ""
                raise OptionError(
                    f"{field} needs at least {least} characters{beside}; max_length is {longest}.",
                    field=field,
                    allowed=f"text that fits into {longest} characters, which is max_length",
                )
        self._check_pattern(pattern, prefix, options.min_length)

    def _check_pattern(self, pattern: Sequence[str], prefix: Sequence[str], min_length: int) -> None:
        head = itertools.takewhile(lambda c: c != RUN, pattern)
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


def _check_characters(field: str, text: Sequence[str], vocabulary: Vocabulary, excludes: str) -> None:
    try:
        vocabulary.indices(text)
    except UnknownCharacter as error:
        raise UnknownCharacter(str(error), field=field, allowed=error.allowed) from None
    if not set("".join(text)).isdisjoint(excludes):
        raise OptionError(
            f"{field} has a character that excludes forbids.",
            field=field,
            allowed="text without the characters of excludes",
        )


def _shortest(prefix: Sequence[str], ending: Sequence[str]) -> int:
    """Return the least length of a text that begins with the one and ends with the other: they may overlap."""
    most = len(prefix) + len(ending)
    for length in range(max(len(prefix), len(ending)), most):
        overlap = prefix[length - len(ending) :]
        if ending[: len(overlap)] == overlap:
            return length
    return most


class ConstraintFilter:
    """The constraints of one answer over text: slower than `selection`, for vocabularies in which names look alike.

    `known`: the list, as `twin` spells it where the vocabulary is `loose` (see `Vocabulary.loose`). `vocabulary`: where
    characters have several code points. A candidate whose characters are not those of its text, because two of them
    are one to a reader, counts as rejected by its pattern.
    """

    def __init__(
        self,
        constraints: Constraints,
        known: frozenset[str],
        loose: bool = False,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._unique = constraints.unique
        self._known = known if constraints.novel else frozenset[str]()
        self._as_code_points = vocabulary.as_code_points if vocabulary and vocabulary.clustered else _unchanged
        self._ending = self._as_code_points(fold(constraints.ends_with)) or ""
        self._part = self._as_code_points(fold(constraints.contains)) or ""
        pattern = self._as_code_points(fold(constraints.pattern), WILDCARDS)
        self._pattern = _matcher(pattern) if pattern else None
        self._loose, self._locale = loose, vocabulary.locale if vocabulary else ""
        self._seen: set[str] = set()

    def select(self, texts: Sequence[str | None], lengths: Codes, wanted: int, counts: NDArray[np.int64]) -> None:
        """Do what `selection.select` does: `texts` are the candidates, None for one that was rejected before."""
        names, looked, refused = counts[NAMES], 0, counts[REFUSED:]
        for i, text in enumerate(texts):
            if names == wanted:
                break
            looked += 1
            reason = _EARLY[int(lengths[i])] if text is None else self._reason(text, int(lengths[i]))
            if reason is None:
                names += 1
            else:
                refused[REASONS.index(reason)] += 1
                lengths[i] = min(lengths[i], UNFIT) if text is not None else lengths[i]
        counts[NAMES], counts[LOOKED] = names, counts[LOOKED] + looked

    def _reason(self, name: str, length: int) -> str | None:
        spelled = self._as_code_points(name)
        if spelled is None or len(spelled) != length:
            return "pattern"
        if reason := self._spelling(spelled):
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
        return twin(name, self._locale) if self._loose and name else name

    def _spelling(self, name: str) -> str | None:
        if not name.endswith(self._ending):
            return "ends_with"
        if self._part not in name:
            return "contains"
        return None if self._pattern is None or self._pattern.fullmatch(name) else "pattern"


def _unchanged(text: str, wildcards: str = "") -> str:
    return text


def _matcher(pattern: str) -> re.Pattern[str]:
    """Return what matches whole names: fnmatch's expression, which never tries a * twice. Its [ is a letter here."""
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
