"""Spelling has one normal form and adds capitals last; vocabularies round-trip any script."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ConfigError, UnknownCharacter, Vocabulary
from models.spelling import capitalize, capitalize_all, fold, fold_sigmas, normalize, title, turkic_locale, twin

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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ʿabd al-'aziz", "ʿAbd Al-'Aziz"),
        ("ʻolina", "ʻOlina"),
        ("oʼbrien d'arcy", "OʼBrien D'Arcy"),
        ("ka'ani ka`ani", "Ka'ani Ka`ani"),
        ("a'a", "A'a"),
        ("'s-gravenhage 't", "'s-Gravenhage 't"),
        ("ßen józsef", "ßen József"),
        ("", ""),
    ],
)
def test_title_puts_a_capital_after_a_sign(name: str, expected: str) -> None:
    assert title(name) == expected


@given(st.text(alphabet="abı ß-.7\n\u0301ǆ"))
def test_title_without_signs_is_capitalize(name: str) -> None:
    assert title(name) == capitalize(name)


def test_turkic_title_and_fold_are_inverse() -> None:
    names = ["ılgaz", "idris", "işıl", "şimşi i"]
    assert [title(name, "tr") for name in names] == ["Ilgaz", "İdris", "İşıl", "Şimşi İ"]
    assert [fold(title(name, "tr"), "tr") for name in names] == names
    assert [twin(name, "tr") for name in ("ılgaz", "ilgaz")] == ["ılgaz", "ilgaz"]


def test_dotted_capital_is_one_small_letter_in_turkic() -> None:
    assert [fold(text, locale) for locale in ("tr", "az") for text in ("İI", "I\u0307I")] == ["iı"] * 4
    assert fold("İ") == "i\u0307"


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        ("ılgaz idris selin", "tr"),
        ("IŞIL İDRİS", "tr"),
        ("ilqar talıb əli", "az"),
        ("indianapolis, illinois, mississippi; diyarbakır", ""),
        ("emma ida", ""),
    ],
)
def test_letters_of_a_text_show_its_locale(text: str, locale: str) -> None:
    assert turkic_locale(text) == locale


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ΑΣ*", "Ασ*"), ("*Σ", "*ς"), ("?ΗΣ", "?Ης"), ("ΣΑΣ ΣΑ", "σΑς σΑ"), ("σας*", "σας*"), ("*Σ*", "*σ*")],
)
def test_capital_sigma_ends_words_only(text: str, expected: str) -> None:
    """In Greek a pattern's Σ is ς where a word ends; letters that were small stay."""
    assert fold_sigmas(text) == expected


def test_vocabulary_reads_its_own_letters_i() -> None:
    turkish = Vocabulary.of(["ışil"], "tr")
    assert [turkish.normalize(text) for text in ("IŞİL", "ışil", "IŞI\u0307L")] == ["ışil"] * 3
    assert not turkish.loose
    assert Vocabulary.of(["sil"]).normalize("SİL") == "sil"
    assert Vocabulary.of(["i\u0307s"]).normalize("İs") == "i\u0307s"


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
