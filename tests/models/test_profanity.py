"""Names that `safe` refuses: on the shipped lists, on composed names, with an operator's words, and with a list's."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, product
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from data.catalog import CATALOG, HUMAN_2018, LISTS
from data.names import load_names
from models import Kernels, NameGenerator, Vocabulary
from models.inference import ListedNames
from models.inference.keyword_filter import Automaton, Keywords, fold
from models.profanity import (
    INSIDE,
    INSIDE_OTHERS,
    MAX_RARITY,
    OWN,
    ProfanityFilter,
    WordListError,
    letters_of,
    listed,
    never_exempt,
    occurrences,
    read_words,
    shipped,
)

# All refused names among 29,611 of people and 3,323 of animals.
REFUSED = {
    HUMAN_2018.name: ["fanny", "lolita", "shota"],
    "animal": ["abortus", "ass", "bitch", "cock", "coon", "jackass", "negrofinch", "pecker", "pussy", "tit"],
}
MAX_REFUSED_SHARE = 0.003
# Lists with whole words of English, such as tit, shag and bastard.
MAX_REFUSED_SHARES = {"species": 0.0065, "animal": 0.0031}
# A listed word that is part of at least five shipped names is matched as a whole word only.
MANY_NAMES = 5


@pytest.fixture(scope="module")
def profanity(kernels: Kernels) -> ProfanityFilter:
    """The filter without an operator's words."""
    return ProfanityFilter.load(kernels.find)


def names_of(dataset: str) -> tuple[str, ...]:
    """Return the names that the models of a shipped list learn from."""
    entry = LISTS[dataset]
    return load_names(entry.file, entry.placeholders, entry.reading).names


def refused(automaton: Automaton, vocabulary: Vocabulary, names: Sequence[str]) -> list[str]:
    """Return the names that the automaton marks."""
    encoded = [vocabulary.encode(name) for name in names]
    lengths = np.array([len(each) for each in encoded], np.int32)
    codes = np.zeros((len(names), lengths.max()), np.int32)
    for row, each in zip(codes, encoded, strict=True):
        row[: len(each)] = each
    marks = automaton.mark(codes, lengths)
    return [name for name, mark in zip(names, marks, strict=True) if mark]


def refused_by(keywords: Keywords, names: Iterable[str], kernels: Kernels) -> list[str]:
    """Return the names that the keywords refuse."""
    names = list(names)
    vocabulary = Vocabulary.of(names)
    return refused(Automaton(keywords, vocabulary, kernels.find), vocabulary, names)


@pytest.mark.parametrize("dataset", CATALOG)
def test_few_shipped_names_are_refused(profanity: ProfanityFilter, dataset: str) -> None:
    assert 0 < profanity.check(names_of(dataset)).share < MAX_REFUSED_SHARES.get(dataset, MAX_REFUSED_SHARE)


@pytest.mark.parametrize("dataset", REFUSED)
def test_refused_names_of_two_lists_are_known(profanity: ProfanityFilter, dataset: str) -> None:
    assert sorted(profanity.check(names_of(dataset), exempted=frozenset()).words) == REFUSED[dataset]


def test_few_human_names_are_refused_without_allowlist(kernels: Kernels) -> None:
    """The allowlist hides no bad rule."""
    words, names = shipped(), names_of(HUMAN_2018.name)
    found = refused_by(Keywords(words.whole, words.inside, frozenset()), names, kernels)
    assert set(REFUSED[HUMAN_2018.name]) < set(found)
    assert len(found) < 0.005 * len(names)


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
    plain = ProfanityFilter.load()
    own = ProfanityFilter.load(unsafe_words=unsafe, safe_words=safe)
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
    digests = [ProfanityFilter.load(unsafe_words=path).digest for path in (None, one, two, three)]
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
        ProfanityFilter.load(**{setting: path})
    assert all(part in str(caught.value) for part in (message, f"NAMEWAVE_{setting.upper()}", str(path)))
    assert caught.value.field == setting


def test_code_of_the_words_package_is_not_imported(profanity: ProfanityFilter) -> None:
    assert "badwords" not in sys.modules


def test_entry_becomes_one_folded_word() -> None:
    assert letters_of(" Bíg  Foot's ") == fold("bigfoots")


@pytest.mark.parametrize("entry", ["w$rd", "w*rd", "x", "", "-", "z" * 64])
def test_unsearchable_entry_is_dropped(entry: str) -> None:
    assert letters_of(entry) == ""


def generator_of(names: Sequence[str], lists: Sequence[ListedNames] = ()) -> NameGenerator:
    """Return as much of a generator as the filter asks for."""
    own = ListedNames(names)
    return cast(NameGenerator, SimpleNamespace(vocabulary=Vocabulary.of(names), lists=tuple(lists) or (own,)))


def passing(profanity: ProfanityFilter, generator: NameGenerator, names: Sequence[str]) -> list[str]:
    """Return the names that the filter lets through for the models of a list."""
    found = refused(profanity.automaton(generator), generator.vocabulary, names)
    return [name for name in names if name not in found]


ENDINGS = ("a", "e", "i", "o")


def test_word_inside_several_names_passes_inside_names_only(profanity: ProfanityFilter) -> None:
    names = ("ashito", "oshita", "bastardine", "milo", "rena", "tabor")
    assert profanity.exempted(names) == {"shit"}
    generator = generator_of((*names, "z", "-"))
    drawn = ["nashito", "shitomi", "mishit", "bastardi", "shit", "rena-shit", "shi-t"]
    assert passing(profanity, generator, drawn) == ["nashito", "shitomi", "mishit"]


def test_list_with_grapheme_clusters_exempts_words_too(profanity: ProfanityFilter) -> None:
    names = ("ashito", "oshita", "milo", "किरण", "मीना")
    generator = generator_of(names)
    generator.vocabulary = Vocabulary.of_clusters(names)
    assert generator.vocabulary.clustered
    assert passing(profanity, generator, ["mashito", "shit", "मीरण"]) == ["mashito", "मीरण"]


def test_longer_word_around_an_exempted_one_is_refused(profanity: ProfanityFilter) -> None:
    """It is not refused because of the shorter word any more, so it must be looked for itself."""
    generator = generator_of(("ashito", "oshita", "bulsheadz", "-"))
    drawn = ["oshitu", "bullshit", "abullshito", "shithead", "ashitheado"]
    assert passing(profanity, generator, drawn) == ["oshitu"]


@pytest.mark.parametrize("word", sorted(never_exempt()))
def test_slur_is_refused_everywhere_whatever_the_list(profanity: ProfanityFilter, word: str) -> None:
    word = fold(word)
    names = [f"{start}{word}{end}" for start in ("", "lo") for end in ENDINGS]
    assert not any(word in each for each in profanity.exempted(names))
    drawn = [word, f"mi{word}", f"{word}lo", f"mi{word}lo"]
    assert passing(profanity, generator_of([*names, *drawn]), drawn) == []


def test_words_that_no_list_lifts_are_listed_words() -> None:
    words = shipped()
    assert never_exempt() <= words.inside
    assert min(map(len, never_exempt())) >= INSIDE


def test_operator_words_are_exempted_by_no_list(tmp_path: Path, kernels: Kernels) -> None:
    unsafe = tmp_path / "unsafe.txt"
    unsafe.write_text("shit\nzogg\n", "utf-8")
    own = ProfanityFilter.load(kernels.find, unsafe_words=unsafe)
    assert own.exempted(("ashito", "oshita", "azoggi", "ozoggu")) == frozenset()


@pytest.mark.parametrize(("others", "is_exempted"), [(2 * MAX_RARITY - 2, True), (2 * MAX_RARITY - 1, False)])
def test_word_must_be_inside_one_of_20_000_names(profanity: ProfanityFilter, others: int, is_exempted: bool) -> None:
    letters = "lmnorv"
    names = ["".join(parts) for parts in islice(product(letters, repeat=6), others)]
    assert profanity.exempted((*names, "ashito", "oshita")) == ({"shit"} if is_exempted else frozenset())


def test_blend_lifts_what_any_of_its_lists_lifts(profanity: ProfanityFilter) -> None:
    one, other = ListedNames("ashito\noshita"), ListedNames(["milo", "rena"])
    names = ("ashito", "oshita", "milo", "rena")
    assert passing(profanity, generator_of(names, (one, other)), ["mashito"]) == ["mashito"]
    assert passing(profanity, generator_of(names, (other,)), ["mashito"]) == []


def test_equal_alphabets_and_exempted_words_share_an_automaton(profanity: ProfanityFilter) -> None:
    one, same, more = generator_of(("milo", "rena")), generator_of(("reno", "mila")), generator_of(("milo", "rent"))
    assert profanity.automaton(one) is profanity.automaton(same)
    assert profanity.automaton(one) is not profanity.automaton(more)


@pytest.mark.parametrize("dataset", ["animal", "japanese"])
def test_reasons_by_text_are_those_of_the_automaton(profanity: ProfanityFilter, dataset: str) -> None:
    """A name has a reason exactly if the automaton marks it, with exempted words and without."""
    names = names_of(dataset)
    for exempted in (frozenset[str](), profanity.exempted(names)):
        by_text = set()
        for name in names:
            whole, inside = occurrences(name, profanity.keywords)
            if whole | inside - exempted:
                by_text.add(name)
        check = profanity.check(names, exempted)
        assert set(check.words) == by_text
        assert all(check.words.values())


def test_refusals_are_counted_by_their_shortest_words(profanity: ProfanityFilter) -> None:
    check = profanity.check(("crappy", "crap", "bastard", "anna"), frozenset())
    assert (check.total, check.share) == (4, 0.75)
    assert check.words == {"crappy": ("crappy",), "crap": ("crap",), "bastard": ("bastard",)}
    assert profanity.check(("bastardo",), frozenset()).counts() == [("bastard", 1)]


def test_names_on_minus_poulos_pass(profanity: ProfanityFilter) -> None:
    """Every fourth Greek surname ends so; its last six letters are on the Greek list."""
    assert "πουλοσ" in profanity.keywords.whole
    assert not profanity.refuses("Παπαδόπουλος")
    assert profanity.refuses("Πουλος")
