"""Spelling has one normal form and adds capitals last; vocabularies round-trip any script."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ConfigError, UnknownCharacter, Vocabulary
from models.spelling import capitalize, capitalize_all, fold, normalize

# Where lower case and composition meet: letters that decompose in lower case, sigmas, marks of several classes, blanks.
TRICKY = "İIıiJΣσςΆάᾼᾳῼ\u0345ÅÅKﬁßẞǅǆ \u2000\u00a0'’aE\u0300\u0301\u0307\u0323\u0327\u0342각\u1100\u1161\u11a8"


@given(st.one_of(st.text(), st.text(TRICKY)))
def test_normalize_is_an_idempotent_lower_case_nfc_form(text: str) -> None:
    for function in (normalize, fold):
        once = function(text)
        assert function(once) == once
        assert once.lower() == once
        assert unicodedata.is_normalized("NFC", once)
    assert normalize(text) == fold(text).strip()


@given(st.one_of(st.text(), st.text(TRICKY)))
def test_composed_and_decomposed_text_normalize_alike(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert normalize(composed) == normalize(decomposed) == normalize(text)


def test_fold_is_idempotent_for_every_unicode_character() -> None:
    for point in range(sys.maxunicode + 1):
        once = fold(chr(point))
        if once == chr(point):
            continue
        assert fold(once) == once == once.lower() == unicodedata.normalize("NFC", once), hex(point)


def test_normalize_trims_blanks_and_fold_keeps_them() -> None:
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
def test_capital_starts_each_word(name: str, expected: str) -> None:
    assert capitalize(name) == expected


@given(st.text())
def test_capitalize_changes_nothing_but_case(name: str) -> None:
    capital = capitalize(name)
    assert len(capital) == len(name)
    assert all(c == t or c.title() == t for c, t in zip(name, capital, strict=True))


def plainly_capitalized(name: str) -> str:
    """The definition, one character at a time."""

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
def test_capitalize_all_equals_capitalizing_each_name(names: list[str]) -> None:
    assert capitalize_all(names) == [capitalize(name) for name in names] == list(map(plainly_capitalized, names))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20))
def test_decode_inverts_encode_and_zero_is_no_character(names: list[str]) -> None:
    vocabulary = Vocabulary.of(names)
    for name in names:
        indices = vocabulary.encode(name)
        assert 0 not in indices
        assert vocabulary.decode(indices) == name
        assert vocabulary.decode([*indices, 0, 1]) == name
    assert len(vocabulary) == len(set().union(*names)) + 1


def test_full_stop_is_distinct_from_the_end_token() -> None:
    vocabulary = Vocabulary.of(["st. ives"])
    assert vocabulary.itos[0] == "."
    assert vocabulary.stoi["."] != 0


def test_unknown_character_error_names_it_outside_its_safe_part() -> None:
    with pytest.raises(UnknownCharacter, match="'é'") as caught:
        Vocabulary.of(["abc"]).encode("aéb")
    assert "é" not in caught.value.allowed


@pytest.mark.parametrize("characters", [("a", "a"), ("ab",), ("",)])
def test_repeated_or_multiple_characters_are_no_alphabet(characters: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        Vocabulary(characters)


def test_descriptions_of_alphabets_are_abbreviated() -> None:
    assert Vocabulary.of(["abcdefghijklmnopqrstuvwxyz ' "]).describe() == "␣'a-z"
    many = Vocabulary(tuple(chr(0x4E00 + i) for i in range(3000)))
    assert many.describe().endswith("… (3000 in all)")
    assert len(many.describe()) < 100
