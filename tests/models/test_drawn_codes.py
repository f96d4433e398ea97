"""The kernels over drawn codes: the writer of lines and the keyword automaton."""

import csv
import io
import json
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import Kernels, Vocabulary
from models.inference.keyword_filter import LONGEST, OTHER, Automaton, Keywords, build, find, fold
from models.inference.lines import CSV, NDJSON, TEXT, Form, LineWriter, write_lines
from models.spelling import capitalize
from tests.models.reference import coded

ODD = st.text("ab'’- 7.,\"=\\\u0301\u0308ßıiςλǆ😀田ﬁʼ\t\x01\r\n", min_size=1, max_size=9)
ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
FORMS = {"text": TEXT, "csv": CSV, "ndjson": NDJSON}


def read(form: str, text: str) -> list[str]:
    """The oracle: the names that the standard library reads from the lines."""
    if form == "ndjson":
        return [json.loads(line)["name"] for line in text.split("\n")[:-1]]
    if form == "csv":
        return [row[0] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    return text.split("\n")[:-1]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100)
@given(names=st.lists(ODD, min_size=1, max_size=6) | st.lists(ANY, max_size=4), title=st.booleans())
def test_standard_library_reads_back_the_names(kernels: Kernels, form: str, names: list[str], title: bool) -> None:
    if form == "text":
        names = [name.replace("\n", "") or "a" for name in names]
    vocabulary, codes, lengths = coded(names)
    lines, written, looked = LineWriter(vocabulary, FORMS[form], title, kernels.write_lines)(codes, lengths, 99)
    assert read(form, lines.decode()) == [capitalize(name) if title else name for name in names]
    assert written == looked == len(names)


@settings(max_examples=60)
@given(
    st.lists(st.none() | ODD, min_size=1, max_size=6),
    st.sampled_from([TEXT, CSV, NDJSON]),
    st.booleans(),
    st.integers(0, 7),
)
def test_compiled_writer_equals_plain_python_up_to_the_limit(
    kernels: Kernels, names: list[str | None], form: Form, title: bool, limit: int
) -> None:
    vocabulary, codes, lengths = coded(names)
    compiled, plain = (
        LineWriter(vocabulary, form, title, kernel)(codes, lengths, limit)
        for kernel in (kernels.write_lines, write_lines)
    )
    assert compiled == plain
    _, written, looked = compiled
    there = [i for i, name in enumerate(names) if name is not None]
    assert written == min(limit, len(there))
    last = there[limit - 1] + 1 if 0 < limit <= len(there) else len(names)
    assert looked == (last if limit else 0)


def test_csv_quotes_only_commas_quotes_and_line_breaks() -> None:
    vocabulary, codes, lengths = coded(["a b", "=a", "a,b", 'a"b', "a\nb", "-a"])
    lines, _, _ = LineWriter(vocabulary, CSV, False, write_lines)(codes, lengths, 99)
    assert lines == b'a b\r\n=a\r\n"a,b"\r\n"a""b"\r\n"a\nb"\r\n-a\r\n'


@pytest.mark.parametrize("room", range(12))
def test_writer_stops_before_a_line_that_does_not_fit(kernels: Kernels, room: int) -> None:
    vocabulary, codes, lengths = coded(["ab", "ba", "ab"])
    for kernel in (kernels.write_lines, write_lines):
        out = np.full(room + 4, 255, np.uint8)

        def with_small_buffer(*arguments: object, kernel=kernel, out=out) -> tuple[int, int, int]:
            return kernel(*arguments[:-1], out[:room])

        lines, written, looked = LineWriter(vocabulary, TEXT, False, with_small_buffer)(codes, lengths, 99)
        used = len(lines)
        assert bytes(out[:used]) == b"ab\nba\nab\n"[:used]
        assert used == 3 * written == 3 * looked <= room
        assert (out[used:] == 255).all()
        assert written == 3 or room < 12


# Few letters, so that words meet; accents in one and in two code points, a letter of two letters, breaks, a digit.
SPELLED = "abBsßáÅ\u0301ﬁfi -'’.2дйがか山"
words = st.frozensets(st.text("absfi2ди", min_size=1, max_size=5), max_size=6)
keyword_sets = st.builds(Keywords, words, words, words)
names_of_odd = st.lists(st.one_of(st.none(), st.text(SPELLED, max_size=12)), min_size=1, max_size=8)


def holds(keywords: Keywords, name: str | None) -> bool:
    """Whether a word that is no exception is or holds a keyword, or words side by side are or start with one."""
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


@settings(max_examples=400)
@given(keywords=keyword_sets, names=names_of_odd)
@example(Keywords(frozenset({"ab"}), frozenset(), frozenset({"a"})), ["a b", "ab", "b ab", "abb", "a-b a"])
@example(Keywords(frozenset(), frozenset({"ab"}), frozenset({"sab"})), ["sab", "sab ab", "sab-ab", "ssab", "sa b"])
@example(Keywords(frozenset({"ss"}), frozenset({"fi"}), frozenset()), ["ß", "aﬁa", "ßb", "s's", "f\u0301i"])
def test_automaton_marks_equal_a_search_in_folded_text(
    kernels: Kernels, keywords: Keywords, names: list[str | None]
) -> None:
    vocabulary, codes, lengths = coded(names)
    expected = [holds(keywords, name) for name in names]
    for kernel in (kernels.find, find):
        assert Automaton(keywords, vocabulary, kernel).mark(codes, lengths).tolist() == expected


@settings(max_examples=200)
@given(keywords=keyword_sets, exempted=words, names=names_of_odd)
@example(
    Keywords(frozenset(), frozenset({"ab", "sab", "a"}), frozenset()),
    frozenset({"ab", "a"}),
    ["ab", "sabi", "abi", "bab", "a-b", "b a b"],
)
def test_automaton_of_whole_words_lacks_the_words_inside(
    kernels: Kernels, keywords: Keywords, exempted: frozenset[str], names: list[str | None]
) -> None:
    vocabulary, codes, lengths = coded(names)
    exempted &= keywords.inside
    fewer = Keywords(keywords.whole | keywords.inside, keywords.inside - exempted, keywords.excepted)
    expected = Automaton(fewer, vocabulary, kernels.find).mark(codes, lengths).tolist()
    whole = Automaton(keywords, vocabulary, kernels.find)
    assert whole.only_whole(exempted).mark(codes, lengths).tolist() == expected
    assert whole.mark(codes, lengths).tolist() == [holds(keywords, name) for name in names]


@pytest.mark.parametrize("before", ["", "b", "b ", "bb bb "])
@pytest.mark.parametrize("n", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST + 3])
def test_long_names_are_searched_and_longer_keywords_ignored(kernels: Kernels, n: int, before: str) -> None:
    long = Keywords(frozenset({"a" * LONGEST, "a" * (LONGEST + 1)}), frozenset({"aab"}), frozenset({"a" * 64}))
    names: list[str | None] = [before + "a" * n, before + "a" * n + "b", before + "a" * n + " a"]
    vocabulary, codes, lengths = coded(names)
    known = Keywords(frozenset({"a" * LONGEST}), frozenset({"aab"}), frozenset())
    expected = [holds(known, name) for name in names]
    assert expected[1]
    assert Automaton(long, vocabulary, kernels.find).mark(codes, lengths).tolist() == expected


@given(st.text())
def test_fold_is_idempotent_and_goes_letter_by_letter(text: str) -> None:
    folded = fold(text)
    assert "".join(map(fold, text)) == folded
    assert fold(folded) == folded
    assert not re.search("[\u0300-\u0314A-Z]", folded)


def test_fold_drops_accents_and_case_and_keeps_syllables() -> None:
    assert fold("Ré-O'ÅSß ﬁ’Ⅳ") == "re o asss fi iv"
    assert fold(unicodedata.normalize("NFD", "É")) == "e"
    assert fold("が한कि") == "が한कि"


def test_table_has_only_the_letters_of_keywords() -> None:
    letters = (*map(chr, range(0x4E00, 0x4E00 + 3000)), "a", "b")
    keywords = Keywords(frozenset({"ab", "xyz"}), frozenset({"\u4e05"}), frozenset())
    machine = build(keywords.spelled_in(letters))
    assert set(machine.numbers) == {"a", "b", "\u4e05"}
    assert machine.table.shape == (4, OTHER + 1 + 3)
    names = ["\u4e05", "\u4e06", "ab", "\u4e06\u4e05a", "a\u4e06b"]
    vocabulary, codes, lengths = coded(names, Vocabulary(letters))
    assert Automaton(keywords, vocabulary, find).mark(codes, lengths).tolist() == [True, False, True, True, False]


def test_empty_keywords_names_and_candidates_are_not_marked() -> None:
    vocabulary, codes, lengths = coded(["ab", "", "- '", None])
    some = Keywords(frozenset({"ab"}), frozenset({"b"}), frozenset())
    none = Keywords(frozenset(), frozenset(), frozenset())
    assert Automaton(none, vocabulary, find).mark(codes, lengths).tolist() == [False] * 4
    assert Automaton(some, vocabulary, find).mark(codes, lengths).tolist() == [True, False, False, False]
