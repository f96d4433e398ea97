"""The learning-rate finder: rates and suggestions against closed forms, and its command on a small list."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.conftest import PNG, png_of, run_cli
from training.search.lr_finder import DIVERGED_FACTOR, MEMORY, Point, exponential_rates, range_plot, range_test, suggest


def test_rates_form_a_geometric_sequence() -> None:
    rates = exponential_rates(1e-5, 1.0, 11)
    assert rates == pytest.approx([10 ** (-5 + i / 2) for i in range(11)], rel=1e-12)


@pytest.mark.parametrize(("low", "high", "steps"), [(0.0, 1.0, 10), (1.0, 1.0, 10), (0.1, 1.0, 1), (1.0, math.inf, 9)])
def test_impossible_range_of_rates_is_rejected(low: float, high: float, steps: int) -> None:
    with pytest.raises(ValueError, match="no rates lead"):
        exponential_rates(low, high, steps)


def parabola(curvature: float) -> Callable[[float], float]:
    """Gradient descent on curvature/2 x^2 from x = 1: each call makes a step and returns the loss before it."""
    x = 1.0

    def learn(rate: float) -> float:
        nonlocal x
        loss = curvature / 2 * x * x
        x -= rate * curvature * x
        return loss

    return learn


def replay(losses: list[float]) -> list[Point]:
    """The range test over these losses of batches."""
    given = iter(losses)
    return range_test(lambda rate: next(given), exponential_rates(0.1, 1.0, len(losses)))


@pytest.mark.parametrize("curvature", [0.1, 10.0])
def test_suggested_rate_converges_on_a_parabola(curvature: float) -> None:
    """Descent on a parabola converges below 2/curvature."""
    points = range_test(parabola(curvature), exponential_rates(1e-4 / curvature, 1e3 / curvature, 200))
    assert len(points) < 200  # it blew up, and the test noticed
    for rate in suggest(points):
        assert 0.02 / curvature < rate < 2 / curvature


def test_loss_is_unbiased_mean_and_stops_at_four_times_best() -> None:
    given = [3.0, 2.0, 2.5, 1.0, 1.5, 30.0, 80.0, 1.0]
    points = replay(given)
    expected = []
    for n in range(1, 9):
        weights = [MEMORY ** (n - 1 - i) for i in range(n)]
        expected.append(sum(w * loss for w, loss in zip(weights, given, strict=False)) / sum(weights))
    last = next(i for i in range(8) if expected[i] > DIVERGED_FACTOR * min(expected[: i + 1]))
    assert 0 < last < 7
    assert [point.loss for point in points] == pytest.approx(expected[: last + 1], rel=1e-12)
    assert [point.batch_loss for point in points] == given[: last + 1]


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_non_finite_loss_ends_the_range_test(end: float) -> None:
    assert len(replay([3.0, 2.0, end, 1.0])) == 2


def test_steepest_and_lowest_point_of_known_curve_are_found() -> None:
    """A fall like tanh over the logarithm of the rate is steepest in its middle."""
    rates = exponential_rates(1e-4, 1.0, 101)
    logs = [math.log10(rate) for rate in rates]
    curve = [2 - math.tanh(3 * (x + 2)) if x < -0.99 else 3 + x for x in logs]
    found = suggest([Point(rate, loss, loss) for rate, loss in zip(rates, curve, strict=True)])
    assert found.steepest == pytest.approx(1e-2)
    assert found.tenth_of_lowest == pytest.approx(1e-2)


@pytest.mark.parametrize("size", [50, 3, 0])
def test_curve_that_never_falls_has_no_suggestion(size: int) -> None:
    with pytest.raises(ValueError, match="never fell"):
        suggest([Point(0.1 * 1.1**i, 1.0 + i, 1.0 + i) for i in range(size)])


def test_plot_is_reproducible() -> None:
    points = range_test(parabola(1.0), exponential_rates(1e-3, 100.0, 80))
    png_of(lambda: range_plot(points, suggest(points), "elves"))


def test_command_suggests_rate_and_writes_curve_and_plot(tmp_path: Path, list_file: Path) -> None:
    given = ["--data", list_file, "--name", "elves", "--preset", "bigram-gradient", "--steps", "60"]
    result = run_cli("find-lr", *given, "--low", "1e-3", "--high", "10", "--output", tmp_path / "out")
    for words in ("step 60/60", "Suggested: --learning-rate", "the preset has", "learning_rates.csv"):
        assert words in result.output
    rows = list(csv.DictReader((tmp_path / "out" / "learning_rates.csv").read_text("utf-8").splitlines()))
    assert [float(row["rate"]) for row in rows] == pytest.approx(exponential_rates(1e-3, 10, 60))
    assert all(0 < float(row["loss"]) < 10 for row in rows)
    assert 1e-3 < float(result.output.split("--learning-rate ")[1].split(",")[0]) < 10
    assert (tmp_path / "out" / "learning_rates.png").read_bytes().startswith(PNG)
