"""The bigram by counting and by gradient descent, the picture of its counts, and its command `bigram-picture`."""

import io
import math
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from models import Vocabulary
from models.networks import bigram_by_counting, count_bigrams
from tests.training.conftest import PNG, NamesAndVocabulary, figure_in, invoke, png_of, run_cli
from training.dataset import Examples
from training.evaluation import mean_loss
from training.lessons.bigram import (
    FIT_SMOOTHINGS,
    PENALTIES,
    SHADES,
    SMOOTHINGS,
    bigram_figure,
    bigram_plot,
    caption,
    compare,
    contrast,
    count_grid,
    palette,
    readable_on,
)
from training.lessons.bigram_fits import descend, gradient, log_probabilities, loss_of, one_hot_loss
from training.report import printable_character


@pytest.fixture
def N(ten_names: NamesAndVocabulary) -> Tensor:
    """The counts of the ten names."""
    return counts_of(*ten_names)


def counts_of(names: tuple[str, ...], vocabulary: Vocabulary) -> Tensor:
    return count_bigrams(names, vocabulary).double()


def random_weights(N: Tensor) -> Tensor:
    return torch.randn(N.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def end_of_descent(N: Tensor, l2: float, steps: int) -> Tensor:
    *_, (_, W) = descend(N, l2, steps)
    return W


def loss_and_penalty(W: Tensor, N: Tensor, l2: float) -> Tensor:
    return -(N * W.log_softmax(1)).sum() / N.sum() + l2 * W.square().mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.5, 2.0])
def test_probability_is_smoothed_share_of_row(ten_names: NamesAndVocabulary, N: Tensor, smoothing: float) -> None:
    names, vocabulary = ten_names
    pairs = Counter(pair for name in names for pair in pairwise(f".{name}."))
    firsts = Counter(pair[0] for pair in pairs.elements())
    log_probs = log_probabilities(N, smoothing)
    for i, one in enumerate(vocabulary.itos):
        for j, other in enumerate(vocabulary.itos):
            share = (pairs[one, other] + smoothing) / (firsts[one] + smoothing * len(vocabulary))
            assert float(log_probs[i, j]) == pytest.approx(math.log(share) if share else -math.inf)


def test_unseen_row_is_uniform() -> None:
    N = torch.tensor([[0.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    assert log_probabilities(N, 0.0).exp().tolist() == [[0, 1], [0.5, 0.5]]


def test_loss_of_impossible_pair_is_infinite(ten_names: NamesAndVocabulary, N: Tensor) -> None:
    dev = counts_of(("ae", "zoe"), Vocabulary((*ten_names[1].characters[:-1], "z")))
    assert loss_of(log_probabilities(N, 0.0), dev) == math.inf
    assert math.isfinite(loss_of(log_probabilities(N, 1.0), dev))


def test_one_hot_loss_and_count_loss_equal_cross_entropy(ten_names: NamesAndVocabulary, N: Tensor) -> None:
    W, rows = random_weights(N), Examples.of(*ten_names).rows
    expected = pytest.approx(float(torch.nn.functional.cross_entropy(W[rows.ids], rows.targets)), rel=1e-12)
    assert one_hot_loss(W, rows.ids, rows.targets) == expected
    assert loss_of(W.log_softmax(1), N) == expected


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_gradient_equals_autograd_and_central_differences(N: Tensor, l2: float) -> None:
    W = random_weights(N).requires_grad_()
    slope = gradient(W.detach(), N, l2)
    (expected,) = torch.autograd.grad(loss_and_penalty(W, N, l2), W)
    assert torch.allclose(slope, expected, rtol=1e-12, atol=1e-15)
    for i, j in ((0, 1), (3, 0), (5, 5)):
        step = torch.zeros_like(N)
        step[i, j] = 1e-5
        above, below = (float(loss_and_penalty(W.detach() + s * step, N, l2)) for s in (1, -1))
        assert float(slope[i, j]) == pytest.approx((above - below) / 2e-5, abs=1e-9)


@settings(max_examples=40)
@given(
    counts=st.lists(st.integers(0, 50), min_size=16, max_size=16).filter(any),
    l2=st.sampled_from([0.0, 0.001, 0.1, 10.0, 1000.0]),
)
def test_descent_never_increases_the_loss(counts: list[int], l2: float) -> None:
    N = torch.tensor(counts, dtype=torch.float64).view(4, 4)
    losses = [float(loss_and_penalty(W, N, l2)) for _, W in descend(N, l2, 60)]
    assert losses[0] <= math.log(4) + 1e-12
    assert all(after <= before + 1e-12 for before, after in pairwise(losses))


def test_unsmoothed_descent_approaches_counts_like_one_over_t(N: Tensor) -> None:
    closed = loss_of(log_probabilities(N, 0.0), N)
    gaps = [loss_of(end_of_descent(N, 0.0, steps).log_softmax(1), N) - closed for steps in (100, 1000, 10000)]
    assert 0 < gaps[2] < 1e-3
    assert all(5 < further / nearer < 20 for further, nearer in pairwise(gaps))


def test_descent_on_smoothed_counts_reaches_closed_form(ten_names: NamesAndVocabulary, N: Tensor) -> None:
    found = end_of_descent(N + 1.0, 0.0, 10000).log_softmax(1)
    assert torch.allclose(found.exp(), log_probabilities(N, 1.0).exp(), rtol=0, atol=1e-9)
    published = mean_loss(bigram_by_counting(*ten_names, 1.0), Examples.of(*ten_names))
    assert loss_of(found, N) == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("l2", [0.01, 1.0])
def test_descent_with_l2_reaches_minimum_of_lbfgs(N: Tensor, l2: float) -> None:
    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W = torch.from_numpy(flat.reshape(N.shape)).requires_grad_()
        loss = loss_and_penalty(W, N, l2)
        return float(loss.detach()), torch.autograd.grad(loss, W)[0].numpy().ravel()

    ends = {"ftol": 1e-15, "gtol": 1e-11}
    best = scipy.optimize.minimize(objective, np.ones(N.numel()), jac=True, method="L-BFGS-B", options=ends)
    W = end_of_descent(N, l2, 10000)
    assert float(loss_and_penalty(W, N, l2)) == pytest.approx(best.fun, abs=1e-10)
    assert np.allclose(W.numpy().ravel(), best.x, atol=1e-4)
    assert torch.allclose(W.sum(1), torch.zeros(len(N), dtype=torch.float64), atol=1e-9)


def test_descent_stops_where_gradient_vanishes(N: Tensor) -> None:
    assert [step for step, _ in descend(N, 10.0, 10000)][-1] < 100


def test_descent_without_counts_is_rejected(N: Tensor) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        next(descend(torch.zeros_like(N), 0.0, 10))


def test_comparison_covers_both_ways_and_all_strengths(ten_names: NamesAndVocabulary) -> None:
    names, vocabulary = ten_names
    train, dev = counts_of(names[:8], vocabulary), counts_of(names[8:], vocabulary)
    progress: list[tuple[int, int]] = []
    comparison = compare(train, dev, 2000, lambda done, total: progress.append((done, total)))
    assert [one.smoothing for one in comparison.fits] == list(FIT_SMOOTHINGS)
    for one in comparison.fits:
        closed = log_probabilities(train, one.smoothing)
        assert (one.counted.train, one.counted.dev) == (loss_of(closed, train), loss_of(closed, dev))
        assert one.descended.train == pytest.approx(one.counted.train, abs=2e-3)
        assert one.difference < 2e-2
    assert len(comparison.smoothed) == len(SMOOTHINGS) == len(PENALTIES) == len(comparison.penalised)
    assert comparison.penalised[0] == comparison.fits[0].descended
    for losses in (comparison.smoothed, comparison.penalised):
        trains = [one.train for one in losses]
        assert trains == sorted(trains)
        assert trains[-1] == pytest.approx(math.log(len(vocabulary)), abs=0.06)
    found = end_of_descent(train, 0.1, 2000).log_softmax(1)
    assert comparison.penalised[PENALTIES.index(0.1)].dev == pytest.approx(loss_of(found, dev), abs=1e-9)
    assert progress[-1][0] == progress[-1][1] == 2000 * (len(FIT_SMOOTHINGS) + len(PENALTIES) - 1)
    assert progress == sorted(progress)


def test_picture_shows_each_pair_with_its_count() -> None:
    vocabulary = Vocabulary(("a", "b"))
    N = np.array([[0, 30, 7], [12, 1, 24], [25, 6, 0]])
    axes = bigram_figure(count_grid(N, vocabulary), "elves").axes[0]
    assert len([patch for patch in axes.patches if isinstance(patch, Rectangle)]) == 9
    found: dict[tuple[int, int], list[str]] = {}
    for text in axes.texts:
        x, y = text.get_position()
        found.setdefault((int(y), int(x)), []).append(text.get_text())
    for i, j in np.ndindex(3, 3):
        pair = vocabulary.itos[i] + vocabulary.itos[j]
        assert found[i, j] == ([pair, str(N[i, j])] if N[i, j] else [pair])
    low, high = axes.get_ylim()
    assert low > high, "the first row is on top"
    assert [label.get_text() for label in axes.get_xticklabels()] == [".", "a", "b"]


@pytest.mark.parametrize(("ink", "expected", "within"), [("#000000", 21, 2.1e-5), ("#777777", 4.48, 0.005)])
def test_contrast_is_that_of_wcag(ink: str, expected: float, within: float) -> None:
    assert contrast(to_rgba(ink), to_rgba("#ffffff")) == pytest.approx(expected, abs=within)


def test_text_has_contrast_of_4_5_on_every_shade() -> None:
    shades = LinearSegmentedColormap.from_list("pairs", SHADES)
    for shade in np.linspace(0, 1, 101):
        face = shades(float(shade))
        assert contrast(to_rgba(readable_on(face)), face) >= 4.5, shade


def test_large_alphabet_shows_most_frequent_characters() -> None:
    vocabulary = Vocabulary(tuple(chr(0x3B1 + i) for i in range(20)) + tuple(chr(0x430 + i) for i in range(20)))
    draw = random.Random(1)
    N = np.array([[draw.randrange(50) for _ in range(41)] for _ in range(41)])
    grid = count_grid(N, vocabulary)
    assert len(grid.symbols) == 27
    assert grid.symbols[0] == "."
    sums = {symbol: int(N[i].sum()) for i, symbol in enumerate(vocabulary.itos) if i}
    assert list(grid.symbols[1:]) == sorted(sorted(sums, key=lambda symbol: -sums[symbol])[:26])
    shown = [vocabulary.itos.index(symbol) for symbol in grid.symbols]
    assert grid.counts[3, 5] == N[shown[3], shown[5]]
    share = N[np.ix_(shown, shown)].sum() / N.sum()
    assert f"The 26 most frequent of 40 characters; {share:.1%} of all pairs" in caption(grid)
    whole = count_grid(N, vocabulary, most=41)
    assert whole.share == 1
    assert "most frequent" not in caption(whole)


def test_undrawable_characters_are_shown_as_unicode_numbers() -> None:
    assert [printable_character(c) for c in ("a", "ж", " ", "中")] == ["a", "ж", "␣", "4E2D"]
    grid = count_grid(np.array([[0, 3, 4], [2, 1, 900], [1, 12345, 0]]), Vocabulary(("中", "国")))
    assert grid.symbols == (".", "4E2D", "56FD")
    assert {"900", "12k"} <= {text.get_text() for text in bigram_figure(grid, "elves").axes[0].texts}
    assert "shown by their Unicode numbers" in caption(grid)
    png_of(lambda: bigram_plot(grid, "elves"))


def test_full_stop_in_names_differs_from_end_token() -> None:
    grid = count_grid(np.ones((3, 3), dtype=np.int64), Vocabulary((".", "a")))
    assert len(set(grid.symbols)) == 3
    assert f'"{grid.symbols[0]}" is where a name begins and ends' in caption(grid)


def test_png_palette_keeps_exact_shades() -> None:
    """The most frequent pair has the darkest shade, an unseen pair pure white: no colour is lost to a smaller file."""
    grid = count_grid(np.array([[0, 900, 9], [4, 30, 100], [1, 0, 25]]), Vocabulary(("a", "b")))
    axes = bigram_figure(grid, "elves").axes[0]
    with Image.open(io.BytesIO(bigram_plot(grid, "elves"))) as image:
        pixels = image.convert("RGB")
    for (i, j), expected in {(0, 1): SHADES[-1], (0, 0): "#ffffff", (2, 1): "#ffffff"}.items():
        x, y = axes.transData.transform((j + 0.1, i + 0.1))
        found = pixels.getpixel((round(x), pixels.height - round(y)))
        assert np.allclose(found, [255 * part for part in to_rgba(expected)[:3]], atol=2)
    assert len(palette().getpalette() or []) <= 3 * 256


def test_command_prints_losses_of_both_ways_and_writes_pictures(tmp_path: Path, list_file: Path) -> None:
    out, curves = tmp_path / "new" / "counts.png", tmp_path / "curves.png"
    result = run_cli("bigram-picture", "--data", list_file, "--steps", "300", "--out", out, "--curves", curves)
    printed = ["The same model twice", "Two ways to be less sure", "smoothing", "L2", "lowest"]
    printed += [f"Written: {out}", f"Written: {curves}"]
    assert [text for text in printed if text not in result.output] == []
    assert out.read_bytes().startswith(PNG)
    assert curves.read_bytes().startswith(PNG)
    counted, found = (figure_in(result, f"train loss by {way}") for way in ("counting", "gradient descent"))
    assert counted <= found < counted + 0.05 < math.log(20)
    counted, found = (figure_in(result, f"dev loss by {w}, smoothing 1") for w in ("counting", "gradient descent"))
    assert found == pytest.approx(counted, abs=0.02)


def test_command_with_too_few_steps_prints_a_warning(tmp_path: Path, list_file: Path) -> None:
    gaps = []
    for steps in ("3", "3000"):
        result = invoke("bigram-picture", "--data", list_file, "--steps", steps, "--out", tmp_path / "counts.png")
        assert ("too few to say which L2 is best" in result.output) is (steps == "3")
        found = figure_in(result, "train loss by gradient descent")
        gaps.append(found - figure_in(result, "train loss by counting"))
    assert gaps[0] > 5 * gaps[1] >= 0


def test_command_reports_omitted_characters(tmp_path: Path) -> None:
    draw = random.Random(2)
    letters = [chr(0x561 + i) for i in range(38)]
    path = tmp_path / "armenian.txt"
    path.write_text("\n".join("".join(draw.choices(letters, k=6)) for _ in range(150)), "utf-8")
    result = run_cli("bigram-picture", "--data", path, "--steps", "5", "--out", tmp_path / "counts.png")
    assert "The 26 most frequent of 38 characters" in result.output
    assert "counted dev loss is infinite" in result.output
