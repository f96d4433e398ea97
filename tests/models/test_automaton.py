"""The automaton over drawn codes: against a search by definition in plain Python, and its kernel against itself."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import Kernels, Vocabulary
from models.inference.automaton import Automaton, find
from models.inference.keywords import LONGEST, OTHER, Keywords, build, fold

# Few letters, so that words meet; accents in one and in two code points, a letter of two letters, breaks, a digit.
ODD = "abBsßáÅ\u0301ﬁfi -'’.2дйがか山"
words = st.frozensets(st.text("absfi2ди", min_size=1, max_size=5), max_size=6)
keyword_sets = st.builds(Keywords, words, words, words)
names_of_odd = st.lists(st.one_of(st.none(), st.text(ODD, max_size=12)), min_size=1, max_size=8)


def coded(names: list[str | None]) -> tuple[Vocabulary, np.ndarray, np.ndarray]:
    """The names as the sampler gives them; None is a candidate that grew too long."""
    vocabulary = Vocabulary.of([name for name in names if name])
    longest = max(1, *(len(name or "") for name in names))
    codes, lengths = np.ones((len(names), longest), np.int32), np.full(len(names), -1, np.int32)
    for row, name in enumerate(names):
        if name is not None:
            codes[row] = 0
            codes[row, : len(name)] = vocabulary.encode(name)
            lengths[row] = len(name)
    return vocabulary, codes, lengths


def holds(keywords: Keywords, name: str | None) -> bool:
    """The definition: a word that is no exception is or holds one, or words side by side are one or start with one."""
    if name is None:
        return False
    parts = fold(name).split()
    if "".join(parts) in keywords.excepted:
        return False
    whole, inside = keywords.whole | keywords.inside, keywords.inside
    for i, part in enumerate(parts):
        if part not in keywords.excepted and (part in whole or any(word in part for word in inside)):
            return True
        rest = "".join(parts[i:])
        if any(rest.startswith(word) and len(word) > len(part) for word in inside):
            return True
        if any("".join(parts[i:j]) in whole for j in range(i + 2, len(parts) + 1)):
            return True
    return False


@settings(max_examples=400, deadline=None)
@given(keywords=keyword_sets, names=names_of_odd)
@example(Keywords(frozenset({"ab"}), frozenset(), frozenset({"a"})), ["a b", "ab", "b ab", "abb", "a-b a"])
@example(Keywords(frozenset(), frozenset({"ab"}), frozenset({"sab"})), ["sab", "sab ab", "sab-ab", "ssab", "sa b"])
@example(Keywords(frozenset({"ss"}), frozenset({"fi"}), frozenset()), ["ß", "aﬁa", "ßb", "s's", "f\u0301i"])
def test_marks_are_those_of_the_definition(kernels: Kernels, keywords: Keywords, names: list[str | None]) -> None:
    """Whole words, words inside others, words side by side and exceptions, in any alphabet: compiled or plain, the
    kernel marks what a search in folded text finds.
    """
    vocabulary, codes, lengths = coded(names)
    expected = [holds(keywords, name) for name in names]
    for kernel in (kernels.find, find):
        assert Automaton(keywords, vocabulary, kernel).mark(codes, lengths).tolist() == expected


@pytest.mark.parametrize("before", ["", "b", "b ", "bb bb "])
@pytest.mark.parametrize("n", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST + 3])
def test_long_words_and_longer_names(kernels: Kernels, n: int, before: str) -> None:
    """Names beyond the 64 bits of a mask are searched to their end; words beyond are left out, not mistaken."""
    long = Keywords(frozenset({"a" * LONGEST, "a" * (LONGEST + 1)}), frozenset({"aab"}), frozenset({"a" * 64}))
    names: list[str | None] = [before + "a" * n, before + "a" * n + "b", before + "a" * n + " a"]
    vocabulary, codes, lengths = coded(names)
    known = Keywords(frozenset({"a" * LONGEST}), frozenset({"aab"}), frozenset())
    expected = [holds(known, name) for name in names]
    assert expected[1]
    assert Automaton(long, vocabulary, kernels.find).mark(codes, lengths).tolist() == expected


@given(st.text())
def test_folding_is_a_fixed_point_and_goes_letter_by_letter(text: str) -> None:
    """Folded text has neither capitals nor Latin accents, folds to itself letter by letter, and is made letter by
    letter.
    """
    folded = fold(text)
    assert "".join(map(fold, text)) == folded
    assert fold(folded) == folded
    assert not re.search("[\u0300-\u0314A-Z]", folded)


def test_folding_of_some_letters() -> None:
    """Accents and case go; what ends a word is a space; signs that spell stay, and syllables stay whole."""
    assert fold("Ré-O'ÅSß ﬁ’Ⅳ") == "re o asss fi iv"
    assert fold(unicodedata.normalize("NFD", "É")) == "e"
    assert fold("が한कि") == "が한कि"


def test_tables_have_only_the_letters_of_words() -> None:
    """An alphabet of thousands makes a table no wider than the words that can be spelled in it."""
    letters = (*map(chr, range(0x4E00, 0x4E00 + 3000)), "a", "b")
    keywords = Keywords(frozenset({"ab", "xyz"}), frozenset({"\u4e05"}), frozenset())
    machine = build(keywords.spelled_in(letters))
    assert set(machine.numbers) == {"a", "b", "\u4e05"}
    assert machine.table.shape == (4, OTHER + 1 + 3)
    names: list[str | None] = ["\u4e05", "\u4e06", "ab", "\u4e06\u4e05a", "a\u4e06b"]
    _, codes, lengths = coded(names)
    vocabulary = Vocabulary(letters)
    codes[:] = 0
    for row, name in enumerate(names):
        codes[row, : len(name or "")] = vocabulary.encode(name or "")
    assert Automaton(keywords, vocabulary, find).mark(codes, lengths).tolist() == [True, False, True, True, False]


def test_no_words_and_no_letters() -> None:
    """Without words nothing is marked, nor is a name without letters, an empty one, or a refused candidate."""
    vocabulary, codes, lengths = coded(["ab", "", "- '", None])
    some = Keywords(frozenset({"ab"}), frozenset({"b"}), frozenset())
    none = Keywords(frozenset(), frozenset(), frozenset())
    assert Automaton(none, vocabulary, find).mark(codes, lengths).tolist() == [False] * 4
    assert Automaton(some, vocabulary, find).mark(codes, lengths).tolist() == [True, False, False, False]
