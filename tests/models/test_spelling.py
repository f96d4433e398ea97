"""Spelling: one normal form, and capitals put on last."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spelling import capitalize, capitalize_all, fold, normalize

# Where lower case and composition meet: letters that decompose in lower case, sigmas, marks of several classes, blanks.
TRICKY = "İIıiJΣσςΆάᾼᾳῼ\u0345ÅÅKﬁßẞǅǆ \u2000\u00a0'’aE\u0300\u0301\u0307\u0323\u0327\u0342각\u1100\u1161\u11a8"


@given(st.one_of(st.text(), st.text(TRICKY)))
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    """normalize and fold are fixed points, lower case, composed; only normalize trims."""
    for function in (normalize, fold):
        once = function(text)
        assert function(once) == once
        assert once.lower() == once
        assert unicodedata.is_normalized("NFC", once)
    assert normalize(text) == fold(text).strip()


@given(st.one_of(st.text(), st.text(TRICKY)))
def test_composed_and_decomposed_text_is_one_name(text: str) -> None:
    """However a keyboard composes a name, it has one normal form."""
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert normalize(composed) == normalize(decomposed) == normalize(text)


def test_every_character_has_a_normal_form() -> None:
    """No single character of Unicode has a form that normalizing changes again, or that is not lower case or NFC."""
    for point in range(sys.maxunicode + 1):
        once = fold(chr(point))
        if once == chr(point):
            continue
        assert fold(once) == once == once.lower() == unicodedata.normalize("NFC", once), hex(point)


def test_fold_keeps_blanks() -> None:
    """A prefix may end in a blank."""
    assert fold("Van ") == "van "
    assert normalize(" Van\t") == "van"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("emma", "Emma"),
        ("mary-ann o'brien", "Mary-Ann O'Brien"),
        ("ka'ani", "Ka'ani"),
        ("st. john", "St. John"),
        ("łukasz", "Łukasz"),
        ("d’arcy", "D’Arcy"),
        ("ßen", "ßen"),
        ("田中", "田中"),
        ("", ""),
    ],
)
def test_capitals(name: str, expected: str) -> None:
    """A capital starts each word and nothing else changes."""
    assert capitalize(name) == expected


@given(st.text())
def test_capitals_change_nothing_else(name: str) -> None:
    """Capitalizing keeps the length, and no character but its case."""
    capital = capitalize(name)
    assert len(capital) == len(name)
    assert all(c == t or c.title() == t for c, t in zip(name, capital, strict=True))


def plainly_capitalized(name: str) -> str:
    """The rule, looked at one character at a time."""

    def is_break(i: int) -> bool:
        return i < 0 or unicodedata.category(name[i])[0] not in "LNM"

    def starts(i: int) -> bool:
        if i > 0 and name[i - 1] in "'’":
            return i > 1 and name[i - 2].isalpha() and is_break(i - 3)
        return is_break(i - 1)

    titles = [c.title() if starts(i) and len(c.title()) == 1 else c for i, c in enumerate(name)]
    return "".join(titles)


NAME = st.text() | st.text(alphabet="abß '’-.7\n\u0301ǆA")


@given(st.lists(NAME) | st.lists(st.text(alphabet="ab -.\n")))
def test_lists_get_the_capitals_of_their_names(names: list[str]) -> None:
    """A list as a whole gives what looking at each character of each name gives."""
    assert capitalize_all(names) == [capitalize(name) for name in names] == list(map(plainly_capitalized, names))
