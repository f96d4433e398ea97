"""The corpus of a shipped list and of an own one: names, weights, styles, and what is kept with a version."""

from pathlib import Path

import pytest

from data import CATALOG, HUMAN_2018, LATER_NAMES, ReadOptions, StyleRows
from tests.training.conftest import invoke
from training.corpus import Corpus, human_2018_corpus, own_corpus, shipped_corpus

TABLE = "name\tkind\tcount\n" + "".join(f"na{chr(97 + i)}\t{'odd' if i % 2 else 'even'}\t{i + 1}\n" for i in range(25))


@pytest.fixture(scope="module")
def human() -> Corpus:
    """The human list."""
    return shipped_corpus("human", 42)


def test_births_weigh_the_rows_of_a_name_but_no_names(human: Corpus) -> None:
    assert human.weights is None
    assert human.weights_of(human.split.dev) is None
    assert human.styles is not None
    assert human.styles.columns == ("gender", "decade")
    assert max(human.styles.weights) > 100_000
    assert {name for name, *_ in human.styles.rows} == set(human.names)


def test_shipped_list_says_what_was_read(human: Corpus) -> None:
    first, *others = human.described()
    assert first == "human: 98,468 names in 361,378 rows"
    assert others[0] == "  gender: feminine, masculine"
    assert others[1].startswith("  decade: 1880, 1890, ")
    assert shipped_corpus("surname", 42).described() == ["surname: 30,000 names"]


def test_description_of_many_values_is_short() -> None:
    [_, countries] = shipped_corpus("town", 42).described()
    assert countries.startswith("  country: australia, brazil, ")
    assert countries.endswith(" and 7 more")


def test_table_of_a_shipped_list_is_not_kept_with_a_version(human: Corpus) -> None:
    assert human.table == ""
    assert human.record().names == len(human.names)


def test_lessons_measure_on_the_list_of_2018() -> None:
    corpus = human_2018_corpus(42)
    assert (corpus.dataset, len(corpus.names), corpus.styles) == ("human-2018", 29_611, None)
    assert corpus.sha256 == HUMAN_2018.sha256


@pytest.mark.parametrize(
    ("reading", "styles"),
    [
        (ReadOptions(column="name"), None),
        (ReadOptions(column="name", styles=("kind",)), 1.0),
        (ReadOptions(column="name", styles=("kind",), weights="count"), 25.0),
    ],
)
def test_own_list_has_the_styles_that_are_asked_for(tmp_path: Path, reading: ReadOptions, styles: float | None) -> None:
    (tmp_path / "table.tsv").write_text(TABLE, "utf-8")
    corpus = own_corpus(tmp_path / "table.tsv", "elves", 42, reading)
    assert (corpus.weights is None) == (reading.weights is None)
    if styles is None:
        assert corpus.styles is None
    else:
        assert isinstance(corpus.styles, StyleRows)
        assert corpus.styles.columns == ("kind",)
        assert (corpus.styles.rows[-1], corpus.styles.weights[-1]) == (("nay", "even"), styles)
        assert corpus.table.startswith("name\tkind\tweight\n")


def test_lists_that_are_no_data_sets_are_not_offered() -> None:
    for entry in (HUMAN_2018, LATER_NAMES):
        assert entry.name not in CATALOG
        result = invoke("train", "--dataset", entry.name)
        assert result.exit_code == 2
        assert "surname" in result.output
