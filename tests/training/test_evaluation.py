"""Evaluation: losses, gaps between models, Kneser-Ney counts, distances between lists, and sample quality."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from benchmarks.lists import lecture_split
from models import ModelConfig, Vocabulary
from models.inference import AS_DRAWN
from models.networks import build_model
from tests.training.conftest import NAMES_TXT, GeneratorAndNetwork, NamesAndVocabulary
from training.comparison import names_gap, paired_gap
from training.dataset import Examples
from training.errors import TrainingError
from training.evaluation import cross_entropy, mean_loss, name_losses
from training.kneser_ney import KneserNey
from training.quality import (
    Prefix,
    draw,
    length_distance,
    likelihood,
    measure,
    pair_divergence,
    quality_lines,
    shared_beginnings,
)

MLP = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=10)
WAVENET = ModelConfig(architecture="wavenet", block_size=8, n_embd=4, n_hidden=10)
TINY = ("anna", "anni", "hanna", "ina", "nina", "an", "a", "hannah", "iannia")
name_lists = st.lists(st.text("abcé.\n", max_size=7), min_size=1, max_size=12)
needs_names_txt = pytest.mark.skipif(not NAMES_TXT.is_file(), reason="names.txt is not beside the project")
CHARACTERS = torch.arange(50) % 9
PROBABILITIES = torch.softmax(torch.randn(50, 9, generator=torch.Generator().manual_seed(1)), 1)


@pytest.mark.parametrize(
    "targets", [CHARACTERS, torch.eye(9)[CHARACTERS], PROBABILITIES], ids=["ids", "one-hot", "soft"]
)
def test_cross_entropy_equals_that_of_torch(targets: torch.Tensor) -> None:
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(0)) * 5
    logits[3, 4] = 200.0
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, targets), expected)


@pytest.mark.parametrize("config", [MLP, WAVENET], ids=["mlp", "wavenet"])
def test_losses_equal_brute_force_over_windows(config: ModelConfig, ten_names: NamesAndVocabulary) -> None:
    names, vocabulary = ten_names
    examples = Examples.of(names, vocabulary)
    network = build_model(config, len(vocabulary), torch.Generator().manual_seed(2))
    network.state_dict()["output.weight"].mul_(20)
    network.windows(examples.windows(config.block_size).X)  # gives it running statistics
    network.eval()
    expected = []
    for name in names:
        windows = Examples.of([name], vocabulary).windows(config.block_size)
        logits = network.windows(windows.X).double().tolist()
        rows = zip(logits, windows.targets.tolist(), strict=True)
        expected.append(sum(math.log(sum(map(math.exp, row))) - row[target] for row, target in rows))
    assert name_losses(network, examples).tolist() == pytest.approx(expected, rel=1e-5)
    characters = sum(len(name) + 1 for name in names)
    assert mean_loss(network, examples) == pytest.approx(sum(expected) / characters, rel=1e-5)


def test_evaluation_leaves_running_statistics_unchanged(ten_names: NamesAndVocabulary) -> None:
    network = build_model(WAVENET, len(ten_names[1]), torch.Generator().manual_seed(2))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mean_loss(network, Examples.of(*ten_names))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_paired_gap_equals_mean_and_standard_error_by_hand() -> None:
    """Differences 1, 2, 3 have mean 2 and standard error 1 / sqrt(3)."""
    gap = paired_gap([1.0, 1.0, 1.0], [2.0, 3.0, 4.0])
    assert (gap.mean, gap.error) == pytest.approx((2.0, 3**-0.5))


def test_names_gap_has_standard_error_of_bootstrap() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 12, (400,), generator=generator)
    better = lengths * 2.0 + torch.randn(400, generator=generator)
    worse = better + lengths * 0.1 + torch.randn(400, generator=generator)
    gap = names_gap(better, worse, lengths)
    assert gap.mean == pytest.approx(float((worse - better).sum() / lengths.sum()))
    resampled = torch.randint(400, (4000, 400), generator=generator)
    means = (worse - better)[resampled].sum(1) / lengths[resampled].sum(1)
    assert gap.error == pytest.approx(float(means.std()), rel=0.06)


def textbook_probability(names: tuple[str, ...], V: int, order: int, context: str, character: str) -> float:
    """The textbook's recursion on dictionaries of strings; "." pads a name and ends it."""
    padded = ["." * order + name + "." for name in names]
    runs = Counter(text[i - order + 1 : i + 1] for text in padded for i in range(order, len(text)))
    context = ("." * order + context)[len(context) + 1 :]

    def refine(runs: Counter[str], context: str) -> float:
        shorter: Counter[str] = Counter({run[1:]: 0 for run in runs})
        shorter.update(run[1:] for run in runs)
        below = refine(shorter, context[1:]) if context else 1 / V
        mine = {run: n for run, n in runs.items() if run[:-1] == context}
        if not mine:
            return below
        n1, n2 = (sum(n == k for n in runs.values()) for k in (1, 2))
        D = n1 / (n1 + 2 * n2) if n1 else 0.5
        total = sum(mine.values())
        return max(mine.get(context + character, 0) - D, 0) / total + D * len(mine) / total * below

    return refine(runs, context)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("context", ["", "a", "an", "hann", "nnn", "iia"])
def test_kneser_ney_equals_textbook_recursion(order: int, context: str) -> None:
    vocabulary = Vocabulary.of(TINY)
    for i, p in enumerate(KneserNey.fit(TINY, vocabulary, order).probabilities(context)):
        character = vocabulary.itos[i] if i else "."
        assert p == pytest.approx(textbook_probability(TINY, len(vocabulary), order, context, character), rel=1e-12)


@settings(max_examples=40)
@given(st.lists(st.text("abcdef", min_size=1, max_size=8), min_size=1), st.integers(1, 7), st.text("abcdef"))
def test_kneser_ney_is_a_distribution_in_any_context(names: list[str], order: int, context: str) -> None:
    p = KneserNey.fit(names, Vocabulary.of([*names, "abcdef"]), order).probabilities(context)
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-12)


def test_kneser_ney_loss_of_name_is_sum_over_its_characters() -> None:
    vocabulary = Vocabulary.of(TINY)
    model = KneserNey.fit(TINY, vocabulary, 4)
    ids = [*vocabulary.encode("hanni"), 0]
    expected = -sum(math.log(model.probabilities("hanni"[:t])[i]) for t, i in enumerate(ids))
    assert float(model.name_losses(["hanni"])[0]) == pytest.approx(expected, rel=1e-12)


def test_kneser_ney_rejects_order_beyond_63_bits() -> None:
    with pytest.raises(TrainingError, match=r"order is 40; allowed with 5 characters: 1 to 27"):
        KneserNey.fit(TINY, Vocabulary.of(TINY), 40)


@needs_names_txt
@pytest.mark.parametrize(
    ("order", "dev", "test"),
    [(3, 2.219, 2.220), (4, 2.065, 2.068), (5, 2.002, 2.001), (6, 1.997, 2.000), (7, 2.004, 2.008)],
)
def test_kneser_ney_has_published_losses_on_names_txt(order: int, dev: float, test: float) -> None:
    names = NAMES_TXT.read_text().split()
    train, *parts = lecture_split(names)
    model = KneserNey.fit(train, Vocabulary.of(names), order)
    for part, published in zip(parts, (dev, test), strict=True):
        loss = float(model.name_losses(part).sum()) / sum(len(name) + 1 for name in part)
        assert loss == pytest.approx(published, abs=5.01e-4)


@given(name_lists, name_lists)
def test_pair_divergence_equals_squared_scipy_distance(a: list[str], b: list[str]) -> None:
    A, B = (Counter(pair for name in part for pair in pairwise([0, *map(ord, name), -1])) for part in (a, b))
    keys = sorted({*A, *B})
    expected = jensenshannon([A[key] for key in keys], [B[key] for key in keys], base=2) ** 2
    assert pair_divergence(a, b) == pytest.approx(expected, abs=1e-7)


@given(name_lists, name_lists)
def test_length_distance_is_total_variation(a: list[str], b: list[str]) -> None:
    """The total variation is the sum of the positive differences of the two histograms."""
    P, Q = (np.bincount([len(name) for name in part], minlength=8) / len(part) for part in (a, b))
    assert length_distance(a, b) == pytest.approx(np.maximum(P - Q, 0).sum())


@given(name_lists, name_lists | st.just([]))
def test_shared_beginnings_equal_search_of_every_pair(a: list[str], known: list[str]) -> None:
    expected = [max(n for n in range(len(name) + 1) for o in [*known, ""] if o.startswith(name[:n])) for name in a]
    assert shared_beginnings(a, known) == expected


@pytest.mark.parametrize("distance", [length_distance, pair_divergence])
def test_distance_from_empty_list_is_rejected(distance) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="empty list"):
        distance([], ["a"])


def test_quality_of_tiny_sample_by_hand() -> None:
    quality = measure(["anna", "anna", "anne", "bo"], ["anna", "anton", "cleo"], ["lea", "otto"], ["bo"])
    drawn = quality.drawn
    assert (drawn.count, drawn.new, drawn.unlisted, drawn.repeated, drawn.longest) == (4, 2 / 4, 1 / 4, 1 / 4, 4)
    assert drawn.lengths == pytest.approx((abs(3 / 4 - 1 / 2) + abs(1 / 4 - 0) + abs(0 - 1 / 2)) / 2)
    # Pairs: <a an nn na ne a> e> <b bo o> | <l le ea <o ot tt to
    sample = [3, 3, 3, 2, 1, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    dev = [0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert drawn.pairs == pytest.approx(jensenshannon(sample, dev, base=2) ** 2)
    assert drawn.prefix == Prefix(mean=(3 + 0) / 2, longest=3, share=(3 / 4 + 0) / 2, greatest=3 / 4)


def test_real_and_drawn_names_are_compared_at_equal_sizes() -> None:
    train, dev = [f"a{i}" for i in range(50)], ["otto", "lea"]
    quality = measure(["bo"] * 30, train, dev)
    assert (quality.drawn.count, quality.train.count, quality.dev.count) == (30, 30, 2)
    assert [(b.count, b.blocks) for b in (quality.drawn_blocks, quality.train_blocks)] == [(2, 10), (2, 10)]
    assert (quality.train.new, quality.train.prefix, quality.train.repeated) == (0, None, 0)
    assert (quality.dev.new, quality.dev.lengths, quality.dev.pairs) == (1, 0, 0)
    assert measure(["bo"] * 90, train, dev).train.count == 50
    assert measure(["bo"], train, dev).drawn_blocks.count == 1
    assert measure(["bo"] * 30, train, dev, seed=1).drawn == quality.drawn


def test_block_figures_are_means_over_disjoint_blocks() -> None:
    blocks = measure(["lea", "lea", "anna", "otto", "x"], ["a", "b", "c", "d", "e"], ["lea", "otto"]).drawn_blocks
    assert (blocks.count, blocks.blocks, blocks.repeated) == (2, 2, 1 / 4)
    assert blocks.lengths == pytest.approx((1 / 2 + 1 / 2) / 2)
    dev = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]  # <l le ea a> <o ot tt to o> <a an nn na
    first = [2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    second = [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    expected = [jensenshannon(part, dev, base=2) ** 2 for part in (first, second)]
    assert blocks.pairs == pytest.approx(np.mean(expected))


def test_sample_of_real_names_has_distances_of_real_names() -> None:
    """A larger sample of the same source lies nearer: unequal sizes would flatter the larger."""
    letters = np.random.default_rng(0).integers(0, 12, (4000, 4))
    names = ["".join("abcdefghijkl"[i] for i in row) for row in letters]
    quality = measure(names[:1500], names[1500:3900], names[3900:])
    assert quality.drawn_blocks.pairs == pytest.approx(quality.train_blocks.pairs, rel=0.1)
    assert quality.drawn.pairs == pytest.approx(quality.train.pairs, rel=0.1)
    assert quality.drawn.pairs < 0.8 * quality.train_blocks.pairs


@pytest.mark.parametrize(("name", "expected"), [("anna", None), ("", Prefix(0, 0, 0, 0))])
def test_copies_and_empty_names_share_no_prefix(name: str, expected: Prefix | None) -> None:
    assert measure([name], ["anna"], ["lea"]).drawn.prefix == expected


@pytest.mark.parametrize("lists", [([], ["a"], ["a"]), (["a"], [], ["a"]), (["a"], ["a"], [])])
def test_quality_of_empty_list_is_rejected(lists: tuple[list[str], list[str], list[str]]) -> None:
    with pytest.raises(ValueError, match="one of the lists is empty"):
        measure(*lists)


def test_likelihood_by_hand() -> None:
    losses = {"a": 2.0, "bb": 6.0, "ccc": 4.0, "dd": 9.0}
    drawn, train, dev = ["a", "a", "bb"], ["ccc"], ["a", "dd"]
    result = likelihood(lambda names: np.array([losses[name] for name in names]), drawn, train, dev)
    assert (result.drawn_name, result.drawn_character) == pytest.approx((-10 / 3, -10 / 7))
    assert (result.dev_name, result.train, result.dev) == pytest.approx((-11 / 2, 1.0, 11 / 5))
    assert result.gap.mean == pytest.approx(11 / 5 - 1)
    residuals = np.array([2 - 2 * 11 / 5, 9 - 3 * 11 / 5])
    assert result.gap.error == pytest.approx(np.sqrt((residuals**2).sum() / 1 * 2) / 5)


def test_likelihood_gap_has_standard_error_of_bootstrap() -> None:
    generator = np.random.default_rng(0)
    names = ["x" * size for size in generator.integers(2, 12, 500)]
    losses = np.array([2.0 * (len(name) + 1) for name in names]) + generator.normal(0, 2, 500)
    sizes = np.array([len(name) + 1 for name in names])
    drawn, train, dev = slice(9), slice(300), slice(300, 500)
    order = iter([losses[drawn], losses[train], losses[dev]])
    result = likelihood(lambda _: next(order), names[drawn], names[train], names[dev])

    def resampled_mean(part: slice) -> float:
        which = generator.integers(part.start or 0, part.stop, part.stop - (part.start or 0))
        return losses[which].sum() / sizes[which].sum()

    gaps = [resampled_mean(dev) - resampled_mean(train) for _ in range(3000)]
    assert result.gap.error == pytest.approx(np.std(gaps), rel=0.07)


def test_likelihood_gap_exposes_memorization() -> None:
    names = [a + b + c for a in "bdfgk" for b in "aeiou" for c in "lmnrs"]
    train, dev = names[::2], names[1::2]
    short, long = (
        likelihood(lambda part, m=model: m.name_losses(part).numpy(), train[:5], train, dev).gap.mean
        for model in (KneserNey.fit(train, Vocabulary.of(names), order) for order in (1, 4))
    )
    assert long > short + 0.1


def test_sample_equals_names_that_the_service_draws(any_generator: GeneratorAndNetwork) -> None:
    generator, _ = any_generator
    names = draw(generator, 300, seed=1)
    assert names == generator.generate(300, seed=1, constraints=AS_DRAWN).names
    assert len(names) == 300
    assert names != draw(generator, 300, seed=2)


def test_quality_table_shows_and_explains_every_figure() -> None:
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


@needs_names_txt
def test_lecture_split_has_published_sizes_and_quality() -> None:
    train, dev, test = parts = lecture_split(NAMES_TXT.read_text("utf-8").split())
    assert [len(part) for part in parts] == [25_626, 3_203, 3_204]
    assert [sum(len(name) + 1 for name in part) for part in parts] == [182_625, 22_655, 22_866]
    figures = measure(dev, train, test).drawn
    assert (round(figures.new, 3), round(1 - figures.repeated, 3), figures.longest) == (0.868, 0.990, 13)
    assert (round(figures.lengths, 3), round(figures.pairs, 4)) == (0.023, 0.0088)
