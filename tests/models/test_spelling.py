"""Spelling: one normal form, and capitals put on last."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spelling import capitalize, fold, normalize


@given(st.text())
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    """normalize and fold are fixed points, lower case, composed; only normalize trims."""
    for function in (normalize, fold):
        once = function(text)
        assert function(once) == once
        assert unicodedata.is_normalized("NFC", once)
    assert normalize(text) == normalize(text).strip()


def test_every_character_has_a_normal_form() -> None:
    """No single character of Unicode has a form that normalizing changes again."""
    for point in range(sys.maxunicode + 1):
        once = normalize(chr(point))
        assert normalize(once) == once, hex(point)


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
