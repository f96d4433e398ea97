"""Names that `safe` refuses: on the shipped lists, on composed names, and with an operator's own words."""

import string
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.names.profanity import (
    INSIDE,
    INSIDE_OTHERS,
    OWN,
    ProfanityFilter,
    WordListError,
    letters_of,
    listed,
    read_words,
    shipped,
)
from app.settings import Settings
from data.catalog import CATALOG, HUMAN_2018, LISTS
from data.names import load_names
from models import Kernels, Vocabulary
from models.inference.keyword_filter import Automaton, Keywords, fold

# All refused names among 29,611 of people and 3,323 of animals.
REFUSED = {
    HUMAN_2018.name: ["fanny", "lolita", "shota"],
    "animal": ["abortus", "ass", "bitch", "cock", "coon", "jackass", "negrofinch", "pecker", "pussy", "tit"],
}
MAX_REFUSED_SHARE = 0.005
# Lists with whole words of English, such as tit and bastard, or with syllables that make one, such as yo-shi-to.
MAX_REFUSED_SHARES = {"town": 0.006, "species": 0.011, "japanese": 0.006}
# A listed word that is part of at least five shipped names is matched as a whole word only.
MANY_NAMES = 5


@pytest.fixture(scope="module")
def profanity(kernels: Kernels) -> ProfanityFilter:
    """The filter without an operator's words."""
    return ProfanityFilter.load(Settings(), kernels.find)


def names_of(dataset: str) -> tuple[str, ...]:
    """Return the names that the models of a shipped list learn from."""
    entry = LISTS[dataset]
    return load_names(entry.file, entry.placeholders, entry.reading).names


def refused(automaton: Automaton, vocabulary: Vocabulary, names: Sequence[str]) -> list[str]:
    """Return the names that the automaton marks."""
    codes = np.zeros((len(names), max(map(len, names))), np.int32)
    for row, name in enumerate(names):
        codes[row, : len(name)] = vocabulary.encode(name)
    marks = automaton.mark(codes, np.array([len(name) for name in names], np.int32))
    return [name for name, mark in zip(names, marks, strict=True) if mark]


def refused_by(keywords: Keywords, names: Iterable[str], kernels: Kernels) -> list[str]:
    """Return the names that the keywords refuse."""
    names = list(names)
    vocabulary = Vocabulary.of(names)
    return refused(Automaton(keywords, vocabulary, kernels.find), vocabulary, names)


def refused_names(profanity: ProfanityFilter, names: Sequence[str]) -> list[str]:
    """Return the names that `safe` refuses, sorted."""
    vocabulary = Vocabulary.of(names)
    return sorted(refused(profanity.automaton(vocabulary), vocabulary, names))


@pytest.mark.parametrize("dataset", CATALOG)
def test_few_shipped_names_are_refused(profanity: ProfanityFilter, dataset: str) -> None:
    names = names_of(dataset)
    share = MAX_REFUSED_SHARES.get(dataset, MAX_REFUSED_SHARE)
    assert len(refused_names(profanity, names)) < share * len(names)


@pytest.mark.parametrize("dataset", REFUSED)
def test_refused_names_of_two_lists_are_known(profanity: ProfanityFilter, dataset: str) -> None:
    assert refused_names(profanity, names_of(dataset)) == REFUSED[dataset]


def test_few_human_names_are_refused_without_allowlist(kernels: Kernels) -> None:
    """The allowlist hides no bad rule."""
    words, names = shipped(), names_of(HUMAN_2018.name)
    found = refused_by(Keywords(words.whole, words.inside, frozenset()), names, kernels)
    assert set(REFUSED[HUMAN_2018.name]) < set(found)
    assert len(found) < MAX_REFUSED_SHARE * len(names)


def test_words_inside_many_names_are_whole_words() -> None:
    """whole_words.txt has all but one of them."""
    lists = listed()
    able = {w for w in lists["en"] if len(w) >= INSIDE}
    able |= {w for words in lists.values() for w in words - lists["en"] if len(w) >= INSIDE_OTHERS}
    count: Counter[str] = Counter()
    for name in (*names_of(HUMAN_2018.name), *names_of("animal")):
        count.update(able & {name[i:j] for i in range(len(name)) for j in range(i + INSIDE, len(name) + 1)})
    many = {word for word, names in count.items() if names >= MANY_NAMES}
    assert len(many) > 10
    assert len(many - read_words(OWN / "whole_words.txt", "whole_words")) == 1


def test_every_whole_word_would_count_inside_others() -> None:
    able = {w for words in listed().values() for w in words if len(w) >= INSIDE}
    assert read_words(OWN / "whole_words.txt", "whole_words") <= able


def test_allowlist_is_needed_and_passes(kernels: Kernels) -> None:
    words = shipped()
    assert words.excepted
    bare = Keywords(words.whole, words.inside, frozenset())
    assert set(refused_by(bare, words.excepted, kernels)) == words.excepted
    assert refused_by(words, words.excepted, kernels) == []


def test_every_listed_word_is_refused(profanity: ProfanityFilter, kernels: Kernels) -> None:
    words = profanity.keywords
    every = set().union(*listed().values()) - words.excepted
    assert len(every) > 10_000
    for before in ("", "zoe ", "zoe-ann "):
        names = {before + word for word in every}
        assert set(refused_by(words, names, kernels)) == names
    names = {f"ka{word}lo" for word in words.inside}
    assert len(names) > 3000
    assert set(refused_by(words, names, kernels)) == names


WHOLE = ["bastard", "Bastard", "BASTARD", "Bástard", "Ba\u0301stard", "Crap", "Scheiße", "Scheisse", "Дерьмо"]
COMPOSED = ["Bastardella", "Lobastardo", "Anna Bastard", "Anna Bas-tardella", "Crap-Anne"]
SEPARATED = ["Bas-tard", "Bas'tard", "b a s t a r d"]


@pytest.mark.parametrize("name", [*WHOLE, *COMPOSED, *SEPARATED])
def test_name_with_a_listed_word_is_refused(profanity: ProfanityFilter, name: str) -> None:
    assert profanity.refuses(name)


INNOCENT = ["Cassandra", "Titus", "Sussex", "Scunthorpe", "Shital", "Hancock", "Dickens", "Michelle", "Scrapper"]
LISTED_SOMEWHERE = ["Gina", "Peter", "Regina", "Gay", "Randy", "Jesus", "Dong", "Cass-Andra", "Van Dyke"]
WITHOUT_LISTED_LETTERS = ["山田", "", "-"]


@pytest.mark.parametrize("name", [*INNOCENT, *LISTED_SOMEWHERE, *WITHOUT_LISTED_LETTERS])
def test_harmless_name_passes(profanity: ProfanityFilter, name: str) -> None:
    assert not profanity.refuses(name)


def test_operator_words_are_added_and_excepted(tmp_path: Path) -> None:
    unsafe, safe = tmp_path / "unsafe.txt", tmp_path / "safe.txt"
    unsafe.write_text("# a rival's names\n\nVoldé-mort\ngina\nzog\n", "utf-8-sig")
    safe.write_text("Bastard\nAnna Crap\n", "utf-8")
    plain = ProfanityFilter.load(Settings())
    own = ProfanityFilter.load(Settings(unsafe_words=unsafe, safe_words=safe))
    for name in ("voldemort", "Lord Voldemort", "Voldemorta", "Gina", "Regina", "Zog", "Bastardella", "Crap"):
        assert own.refuses(name)
    for name in ("Bastard", "Jon Bastard", "Anna Crap", "Zogan", "Peter"):
        assert not own.refuses(name)
    assert not plain.refuses("Voldemort")
    assert plain.refuses("Jon Bastard")


def test_digest_depends_on_the_words_only(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in "123")
    one.write_text("zog\nGorp", "utf-8")
    two.write_text("# the same\ngorp\nZOG\n", "utf-8")
    three.write_text("zog\ngorp\nurk", "utf-8")
    digests = [ProfanityFilter.load(Settings(unsafe_words=path)).digest for path in (None, one, two, three)]
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("setting", ["unsafe_words", "safe_words"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"caf\xe9\n", "cannot be read (it is not UTF-8)"),
        (b"zog\n\nw$rd\n", "Line 3 of"),
        (b"x\n", "Allowed are 2 to 63 letters or digits"),
        (b"z" * 64, "Allowed are 2 to 63 letters or digits"),
    ],
)
def test_error_names_bad_word_list_and_setting(
    tmp_path: Path, setting: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WordListError) as caught:
        ProfanityFilter.load(Settings.model_validate({setting: path}))
    assert all(part in str(caught.value) for part in (message, f"NAMEWAVE_{setting.upper()}", str(path)))
    assert caught.value.field == setting


def test_equal_alphabets_share_an_automaton(profanity: ProfanityFilter) -> None:
    letters = tuple(string.ascii_lowercase)
    assert profanity.automaton(Vocabulary(letters)) is profanity.automaton(Vocabulary(letters))
    assert profanity.automaton(Vocabulary(letters[:9])) is not profanity.automaton(Vocabulary(letters))


def test_code_of_the_words_package_is_not_imported(profanity: ProfanityFilter) -> None:
    assert "badwords" not in sys.modules


def test_entry_becomes_one_folded_word() -> None:
    assert letters_of(" Bíg  Foot's ") == fold("bigfoots")


@pytest.mark.parametrize("entry", ["w$rd", "w*rd", "x", "", "-", "z" * 64])
def test_unsearchable_entry_is_dropped(entry: str) -> None:
    assert letters_of(entry) == ""
