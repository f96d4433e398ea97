"""Sample quality: tiny lists counted by hand, matched sizes, the likelihood's oracle, and the published row."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from benchmarks.names_txt import lecture_split
from models import NameGenerator, Vocabulary
from models.inference import AS_DRAWN
from models.networks import Network
from training.dataset import Examples
from training.evaluation import name_losses
from training.kneser_ney import KneserNey
from training.quality import Prefix, draw, generator_losses, likelihood, measure
from training.quality_table import quality_lines

NAMES_TXT = Path(__file__).parents[3] / "shared/bench/names.txt"


def test_a_tiny_sample_has_the_figures_one_counts_by_hand() -> None:
    """Four drawn names against three of train, two of dev and one more that is listed: each figure as on paper."""
    quality = measure(["anna", "anna", "anne", "bo"], ["anna", "anton", "cleo"], ["lea", "otto"], ["bo"])
    drawn = quality.drawn
    assert (drawn.count, drawn.new, drawn.unlisted, drawn.repeated, drawn.longest) == (4, 2 / 4, 1 / 4, 1 / 4, 4)
    assert drawn.lengths == pytest.approx((abs(3 / 4 - 1 / 2) + abs(1 / 4 - 0) + abs(0 - 1 / 2)) / 2)
    # Pairs: <a an nn na ne a> e> <b bo o> | <l le ea <o ot tt to
    sample = [3, 3, 3, 2, 1, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    dev = [0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert drawn.pairs == pytest.approx(jensenshannon(sample, dev, base=2) ** 2)
    assert drawn.prefix == Prefix(mean=(3 + 0) / 2, longest=3, share=(3 / 4 + 0) / 2, greatest=3 / 4)


def test_real_names_stand_beside_as_many_drawn_ones() -> None:
    """The long pair is as long as the sample, or as train where that is shorter; the blocks are as long as dev."""
    train, dev = [f"a{i}" for i in range(50)], ["otto", "lea"]
    quality = measure(["bo"] * 30, train, dev)
    assert (quality.drawn.count, quality.train.count, quality.dev.count) == (30, 30, 2)
    assert [(b.count, b.blocks) for b in (quality.drawn_blocks, quality.train_blocks)] == [(2, 10), (2, 10)]
    assert (quality.train.new, quality.train.prefix, quality.train.repeated) == (0, None, 0)
    assert (quality.dev.new, quality.dev.lengths, quality.dev.pairs) == (1, 0, 0)
    assert measure(["bo"] * 90, train, dev).train.count == 50
    assert measure(["bo"], train, dev).drawn_blocks.count == 1
    assert measure(["bo"] * 30, train, dev, seed=1).drawn == quality.drawn


def test_blocks_are_means_over_parts_that_do_not_overlap() -> None:
    """Five names in blocks of two are two blocks, the fifth left out; each figure is the mean of the two."""
    blocks = measure(["lea", "lea", "anna", "otto", "x"], ["a", "b", "c", "d", "e"], ["lea", "otto"]).drawn_blocks
    assert (blocks.count, blocks.blocks, blocks.repeated) == (2, 2, 1 / 4)
    assert blocks.lengths == pytest.approx((1 / 2 + 1 / 2) / 2)
    dev = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]  # <l le ea a> <o ot tt to o> <a an nn na
    first = [2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    second = [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    expected = [jensenshannon(part, dev, base=2) ** 2 for part in (first, second)]
    assert blocks.pairs == pytest.approx(np.mean(expected))


def test_real_names_in_a_models_place_are_as_far_as_real_names() -> None:
    """A generator that gives real names has the yardstick's distances, block for block, while a larger sample of the
    same source lies nearer: unequal sizes would flatter the larger.
    """
    letters = np.random.default_rng(0).integers(0, 12, (4000, 4))
    names = ["".join("abcdefghijkl"[i] for i in row) for row in letters]
    quality = measure(names[:1500], names[1500:3900], names[3900:])
    assert quality.drawn_blocks.pairs == pytest.approx(quality.train_blocks.pairs, rel=0.1)
    assert quality.drawn.pairs == pytest.approx(quality.train.pairs, rel=0.1)
    assert quality.drawn.pairs < 0.8 * quality.train_blocks.pairs


def test_a_sample_without_new_names_has_no_shared_beginnings() -> None:
    """Copies share all of themselves, which says nothing; the empty name shares nothing and divides nothing by 0."""
    assert measure(["anna"], ["anna"], ["lea"]).drawn.prefix is None
    assert measure([""], ["anna"], ["lea"]).drawn.prefix == Prefix(0, 0, 0, 0)


@pytest.mark.parametrize("lists", [([], ["a"], ["a"]), (["a"], [], ["a"]), (["a"], ["a"], [])])
def test_empty_lists_are_refused(lists: tuple[list[str], list[str], list[str]]) -> None:
    """Quality of nothing, or beside nothing, is an error and no figure."""
    with pytest.raises(ValueError, match="one of the lists is empty"):
        measure(*lists)


def test_likelihood_by_hand() -> None:
    """Means per name and per character count the end token; the gap's error has both lists' spreads in it."""
    losses = {"a": 2.0, "bb": 6.0, "ccc": 4.0, "dd": 9.0}
    result = likelihood(
        lambda names: np.array([losses[name] for name in names]), ["a", "a", "bb"], ["ccc"], ["a", "dd"]
    )
    assert (result.drawn_name, result.drawn_character) == pytest.approx((-10 / 3, -10 / 7))
    assert (result.dev_name, result.train, result.dev) == pytest.approx((-11 / 2, 1.0, 11 / 5))
    assert result.gap.mean == pytest.approx(11 / 5 - 1)
    residuals = np.array([2 - 2 * 11 / 5, 9 - 3 * 11 / 5])
    assert result.gap.error == pytest.approx(np.sqrt((residuals**2).sum() / 1 * 2) / 5)


def test_the_gap_has_the_error_that_resampling_shows() -> None:
    """The standard error is the spread of the gap over lists resampled with replacement, both lists at once."""
    generator = np.random.default_rng(0)
    names = ["x" * size for size in generator.integers(2, 12, 500)]
    losses = np.array([2.0 * (len(name) + 1) for name in names]) + generator.normal(0, 2, 500)
    parts = {"drawn": names[:9], "train": names[:300], "dev": names[300:]}
    values = {"drawn": losses[:9], "train": losses[:300], "dev": losses[300:]}
    order = iter(values.values())
    result = likelihood(lambda _: next(order), *parts.values())
    sizes = {part: np.array([len(name) + 1 for name in parts[part]]) for part in parts}
    gaps = []
    for _ in range(3000):
        means = {}
        for part in ("train", "dev"):
            which = generator.integers(0, len(values[part]), len(values[part]))
            means[part] = values[part][which].sum() / sizes[part][which].sum()
        gaps.append(means["dev"] - means["train"])
    assert result.gap.error == pytest.approx(np.std(gaps), rel=0.07)


def test_a_model_that_learned_by_heart_is_found_out() -> None:
    """Counts of long runs cost train names much less than dev names; counts of single characters do not."""
    names = [a + b + c for a in "bdfgk" for b in "aeiou" for c in "lmnrs"]
    train, dev = names[::2], names[1::2]
    vocabulary = Vocabulary.of(names)
    short, long = (
        likelihood(lambda part, m=model: m.name_losses(part).numpy(), train[:5], train, dev).gap.mean
        for model in (KneserNey.fit(train, vocabulary, 1), KneserNey.fit(train, vocabulary, 4))
    )
    assert long > short + 0.1


def test_names_are_drawn_as_the_service_draws_them(any_generator: tuple[NameGenerator, Network]) -> None:
    """As many as asked for, the same for the same seed, others for another, repeats kept, none beyond the longest."""
    generator, _ = any_generator
    names = draw(generator, 300, seed=1)
    expected = generator.generate(300, seed=1, constraints=AS_DRAWN).names
    assert names == expected
    assert len(names) == 300
    assert names != draw(generator, 300, seed=2)


def test_the_generators_losses_are_the_networks(
    any_generator: tuple[NameGenerator, Network], made_up_names: tuple[str, ...]
) -> None:
    """Per-name losses of the frozen model agree with those of the network that it came from."""
    generator, network = any_generator
    names = made_up_names[:40]
    expected = name_losses(network, Examples.of(names, Vocabulary.of(made_up_names)))
    assert generator_losses(generator)(names) == pytest.approx(expected.numpy(), rel=1e-4)


def test_the_table_shows_every_figure_and_says_what_it_means() -> None:
    """One row of five cells for each figure, and an explanation below; no likelihood, no such rows."""
    train, dev = ["anna", "anton", "cleo"], ["lea", "otto"]
    quality = measure(["anna", "anna", "anne", "bo"], train, dev)
    losses = likelihood(lambda names: np.array([7.0 * len(name) for name in names]), ["bo"], train, dev)
    lines = quality_lines(quality, losses)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert {len(row) for row in rows} == {5}
    assert lines[0] == "## How good the names are"
    assert rows[0] == ["", "drawn (4)", "real (3)", "drawn (2)", "real (2)"]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["new to the train names"] == ["50.0%", "100.0%", "", ""]
    assert by_name["came before in the sample"] == ["25.00%", "0.00%", "25.00%", "0.00%"]  # blocks: anna anna, anne bo
    assert by_name["log-probability of a name"][0] == "-14.00"
    assert len(rows) - len([line for line in quality_lines(quality) if line.startswith("|")]) == 3
    assert all(line.startswith("- **") for line in lines[-7:])


@pytest.mark.skipif(not NAMES_TXT.is_file(), reason="names.txt is not beside the project")
def test_real_names_have_the_published_figures() -> None:
    """Dev names of the lectures' split, beside train and judged by test: new, distinct, distances and longest as
    published, to the printed digits.
    """
    train, dev, test = lecture_split(NAMES_TXT.read_text("utf-8").split())
    figures = measure(dev, train, test).drawn
    published = (round(figures.new, 3), round(1 - figures.repeated, 3), figures.longest)
    assert published == (0.868, 0.990, 13)
    assert (round(figures.lengths, 3), round(figures.pairs, 4)) == (0.023, 0.0088)
