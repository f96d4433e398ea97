"""What `safe` refuses: measured on the lists that ship, tried on composed names, with an operator's own words."""

import string
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.naming.decency import INSIDE, INSIDE_OTHERS, OWN, Decency, WordListError, letters_of, listed, shipped, words_of
from app.settings import Settings
from data.catalog import CATALOG
from data.names import load_names
from models import Kernels, Vocabulary
from models.inference.automaton import Automaton
from models.inference.keywords import Keywords, fold

# All of 29,611 names that people bear, and of 3,323 of animals, that are refused.
REFUSED = {
    "human": ["fanny", "lolita", "shota"],
    "animal": ["abortus", "ass", "bitch", "cock", "coon", "jackass", "negrofinch", "pecker", "pussy", "tit"],
}
MOST = 0.005
# A listed word that stands inside so many names of the shipped lists counts as a whole word only.
MANY = 5


@pytest.fixture(scope="module")
def decency(kernels: Kernels) -> Decency:
    """What is refused where no operator said anything."""
    return Decency.load(Settings(), kernels.find)


def names_of(dataset: str) -> tuple[str, ...]:
    """The names that the models of a shipped list learn from."""
    return load_names(CATALOG[dataset].file, CATALOG[dataset].placeholders).names


def refused(automaton: Automaton, vocabulary: Vocabulary, names: Sequence[str]) -> list[str]:
    """Those of the names that are marked."""
    codes = np.zeros((len(names), max(map(len, names))), np.int32)
    for row, name in enumerate(names):
        codes[row, : len(name)] = vocabulary.encode(name)
    marks = automaton.mark(codes, np.array([len(name) for name in names], np.int32))
    return [name for name, mark in zip(names, marks, strict=True) if mark]


def refused_by(keywords: Keywords, names: Iterable[str], kernels: Kernels) -> list[str]:
    """Those of the names that these keywords refuse."""
    names = list(names)
    vocabulary = Vocabulary.of(names)
    return refused(Automaton(keywords, vocabulary, kernels.find), vocabulary, names)


@pytest.mark.parametrize("dataset", CATALOG)
def test_hardly_a_shipped_name_is_refused(decency: Decency, dataset: str) -> None:
    """Of each list less than 0.5 % is refused, and it is these names."""
    names = names_of(dataset)
    vocabulary = Vocabulary.of(names)
    found = refused(decency.automaton(vocabulary), vocabulary, names)
    assert sorted(found) == REFUSED[dataset]
    assert len(found) < MOST * len(names)


def test_the_words_alone_refuse_few_human_names(kernels: Kernels) -> None:
    """Even without the list of harmless names the words refuse less than 0.5 % of the human ones, so that it hides no
    bad rule.
    """
    words = shipped()
    names = names_of("human")
    found = refused_by(Keywords(words.whole, words.inside, frozenset()), names, kernels)
    assert set(REFUSED["human"]) < set(found)
    assert len(found) < MOST * len(names)


def test_words_inside_many_names_count_as_whole_words() -> None:
    """What stands inside five names or more of the shipped lists is in whole.txt, all but one word."""
    lists = listed()
    able = {w for w in lists["en"] if len(w) >= INSIDE}
    able |= {w for words in lists.values() for w in words - lists["en"] if len(w) >= INSIDE_OTHERS}
    count: Counter[str] = Counter()
    for name in (*names_of("human"), *names_of("animal")):
        count.update(able & {name[i:j] for i in range(len(name)) for j in range(i + INSIDE, len(name) + 1)})
    many = {word for word, names in count.items() if names >= MANY}
    assert len(many) > 10
    assert len(many - words_of(OWN / "whole.txt", "whole")) == 1


def test_our_own_files_hold_nothing_idle(kernels: Kernels) -> None:
    """Each word of whole.txt is one that would count inside others, each name of harmless.txt would be refused."""
    able = {w for words in listed().values() for w in words if len(w) >= INSIDE}
    words = shipped()
    assert words_of(OWN / "whole.txt", "whole") <= able
    assert words.excepted
    bare = Keywords(words.whole, words.inside, frozenset())
    assert set(refused_by(bare, words.excepted, kernels)) == words.excepted
    assert refused_by(words, words.excepted, kernels) == []


def test_every_listed_word_is_refused(decency: Decency, kernels: Kernels) -> None:
    """Each word of every language is refused as a name and as a word of one, but for names that pass; each that counts
    inside is, too, in the middle of a name.
    """
    words = decency.keywords
    every = set().union(*listed().values()) - words.excepted
    assert len(every) > 10_000
    for before in ("", "zoe ", "zoe-ann "):
        names = {before + word for word in every}
        assert set(refused_by(words, names, kernels)) == names
    names = {f"ka{word}lo" for word in words.inside}
    assert len(names) > 3000
    assert set(refused_by(words, names, kernels)) == names


@pytest.mark.parametrize(
    "name",
    [
        "bastard",
        "Bastard",
        "BASTARD",
        "Bástard",
        "Ba\u0301stard",
        "Bastardella",
        "Lobastardo",
        "Anna Bastard",
        "Bas-tard",
        "Bas'tard",
        "Anna Bas-tardella",
        "b a s t a r d",
        "Crap",
        "Crap-Anne",
        "Scheiße",
        "Scheisse",
        "Дерьмо",
    ],
)
def test_composed_names_are_refused(decency: Decency, name: str) -> None:
    """Whole, inside, with capitals and accents, with what ends a word in between, in other languages and scripts."""
    assert decency.refuses(name)


@pytest.mark.parametrize(
    "name",
    ["Cassandra", "Titus", "Sussex", "Scunthorpe", "Shital", "Hancock", "Dickens", "Michelle", "Scrapper", "Van Dyke"],
)
def test_harmless_names_pass(decency: Decency, name: str) -> None:
    """Names that hold the letters of a rude word."""
    assert not decency.refuses(name)


@pytest.mark.parametrize(
    "name", ["Gina", "Peter", "Regina", "Gay", "Randy", "Jesus", "Dong", "Cass-Andra", "山田", "", "-"]
)
def test_given_names_pass(decency: Decency, name: str) -> None:
    """Names that are a word of some language's list or might be, short ones in pieces, and what has no letters."""
    assert not decency.refuses(name)


def test_added_and_excepted_words(tmp_path: Path) -> None:
    """An operator's words are refused, inside longer names, too, and even in names that pass otherwise; an operator's
    names pass as a whole or as a word of a name.
    """
    unsafe, safe = tmp_path / "unsafe.txt", tmp_path / "safe.txt"
    unsafe.write_text("# a rival's names\n\nVoldé-mort\ngina\nzog\n", "utf-8-sig")
    safe.write_text("Bastard\nAnna Crap\n", "utf-8")
    plain = Decency.load(Settings())
    own = Decency.load(Settings(unsafe_words=unsafe, safe_words=safe))
    for name in ("voldemort", "Lord Voldemort", "Voldemorta", "Gina", "Regina", "Zog", "Bastardella"):
        assert own.refuses(name)
    for name in ("Bastard", "Jon Bastard", "Anna Crap", "Zogan", "Peter"):
        assert not own.refuses(name)
    assert own.refuses("Crap")
    assert not plain.refuses("Voldemort")
    assert plain.refuses("Jon Bastard")


def test_the_digest_names_the_words(tmp_path: Path) -> None:
    """Equal words have equal digests, whatever file they come from; one more word has another."""
    one, two, three = (tmp_path / name for name in "123")
    one.write_text("zog\nGorp", "utf-8")
    two.write_text("# the same\ngorp\nZOG\n", "utf-8")
    three.write_text("zog\ngorp\nurk", "utf-8")
    digests = [Decency.load(Settings(unsafe_words=path)).digest for path in (None, one, two, three)]
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("setting", ["unsafe_words", "safe_words"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"caf\xe9\n", "cannot be read (it is not UTF-8)"),
        (b"zog\n\nw$rd\n", "Line 3 of"),
        (b"x\n", "Allowed are 2 to 63 letters or digits"),
        (b"z" * 64, "Allowed are 2 to 63 letters or digits"),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, setting: str, content: bytes | None, told: str) -> None:
    """What is wrong with a file, which setting names it, and what to give instead."""
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WordListError) as caught:
        Decency.load(Settings.model_validate({setting: path}))
    assert told in str(caught.value)
    assert f"NAMEWAVE_{setting.upper()}" in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.field == setting


def test_an_automaton_is_made_once(decency: Decency) -> None:
    """Models with equal alphabets share one automaton, and the package's code is never imported for it."""
    letters = tuple(string.ascii_lowercase)
    assert decency.automaton(Vocabulary(letters)) is decency.automaton(Vocabulary(letters))
    assert decency.automaton(Vocabulary(letters[:9])) is not decency.automaton(Vocabulary(letters))
    assert "badwords" not in sys.modules


def test_entries_are_folded_and_squeezed() -> None:
    """An entry's words become one; those in disguise, of one letter or too long are none."""
    assert letters_of(" Bíg  Foot's ") == fold("bigfoots")
    assert [letters_of(entry) for entry in ("w$rd", "w*rd", "x", "", "-", "z" * 64)] == [""] * 6
