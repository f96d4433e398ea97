"""The learning-rate finder: its rates and readings against closed forms, and its command on a small list."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from training.config import TrainingConfig
from training.errors import TrainingError
from training.search.lr_finder import find_lr
from training.search.lr_plot import range_plot
from training.search.lr_range import BLOWN_UP, MEMORY, Point, exponential_rates, range_test, suggest
from training.trainer import Trainer


def test_rates_are_a_geometric_sequence() -> None:
    """The rates start and end where asked, and their i-th is low times the (n-1)-th root of high/low to the i."""
    rates = exponential_rates(1e-5, 1.0, 11)
    assert rates == pytest.approx([10 ** (-5 + i / 2) for i in range(11)], rel=1e-12)


@pytest.mark.parametrize(("low", "high", "steps"), [(0.0, 1.0, 10), (1.0, 1.0, 10), (0.1, 1.0, 1), (1.0, math.inf, 9)])
def test_impossible_rates_are_refused(low: float, high: float, steps: int) -> None:
    """No sequence is made up where none leads from low to high."""
    with pytest.raises(ValueError, match="no rates lead"):
        exponential_rates(low, high, steps)


def parabola(curvature: float) -> Callable[[float], float]:
    """Gradient descent on curvature/2 x^2 from x = 1: step by step the loss before each move."""
    x = 1.0

    def learn(rate: float) -> float:
        nonlocal x
        loss = curvature / 2 * x * x
        x -= rate * curvature * x
        return loss

    return learn


@pytest.mark.parametrize("curvature", [0.1, 10.0])
def test_on_a_parabola_the_suggestion_is_a_rate_that_converges(curvature: float) -> None:
    """Descent on a parabola converges below 2/curvature: the suggestions lie below it, within a factor of 100."""
    points = range_test(parabola(curvature), exponential_rates(1e-4 / curvature, 1e3 / curvature, 200))
    assert len(points) < 200  # it blew up, and the test noticed
    for rate in suggest(points):
        assert 0.02 / curvature < rate < 2 / curvature


def test_the_mean_has_no_bias_and_stops_at_four_times_the_best() -> None:
    """The loss is the weighted mean of all batch losses; the first above 4 times the best ends it."""
    given = [3.0, 2.0, 2.5, 1.0, 1.5, 30.0, 80.0, 1.0]
    losses = iter(given)
    points = range_test(lambda rate: next(losses), exponential_rates(0.1, 1.0, 8))
    expected = []
    for n in range(1, 9):
        weights = [MEMORY ** (n - 1 - i) for i in range(n)]
        expected.append(sum(w * loss for w, loss in zip(weights, given, strict=False)) / sum(weights))
    last = next(i for i in range(8) if expected[i] > BLOWN_UP * min(expected[: i + 1]))
    assert 0 < last < 7
    assert [point.loss for point in points] == pytest.approx(expected[: last + 1], rel=1e-12)
    assert [point.batch_loss for point in points] == given[: last + 1]


def test_a_loss_that_is_not_finite_ends_the_test_and_is_left_out() -> None:
    """NaN and infinity end the curve; what came before stays."""
    for end in (math.nan, math.inf):
        losses = iter([3.0, 2.0, end, 1.0])
        assert len(range_test(lambda rate, left=losses: next(left), exponential_rates(0.1, 1.0, 4))) == 2  # type: ignore[misc]


def test_the_steepest_point_of_a_known_curve_is_found() -> None:
    """A fall like tanh over log rate is steepest in its middle; the lowest point is known too."""
    rates = exponential_rates(1e-4, 1.0, 101)
    logs = [math.log10(rate) for rate in rates]
    curve = [2 - math.tanh(3 * (x + 2)) if x < -0.99 else 3 + x for x in logs]
    found = suggest([Point(rate, loss, loss) for rate, loss in zip(rates, curve, strict=True)])
    assert found.steepest == pytest.approx(1e-2)
    assert found.tenth_of_lowest == pytest.approx(1e-2)


def test_a_curve_that_only_rises_suggests_nothing() -> None:
    """Where the loss never fell, or for no point at all, there is no suggestion."""
    rising = [Point(0.1 * 1.1**i, 1.0 + i, 1.0 + i) for i in range(50)]
    for points in (rising, [], rising[:3]):
        with pytest.raises(ValueError, match="never fell"):
            suggest(points)


def test_the_trainer_learns_at_any_rate(
    make_trainer: Callable[[TrainingConfig], Trainer], tiny_config: TrainingConfig
) -> None:
    """Steps made one by one at the schedule's rates are those of `fit`, to the bit."""
    whole, single = make_trainer(tiny_config), make_trainer(tiny_config)
    steps = list(whole.fit())
    assert [single.learn(step.learning_rate) for step in steps] == [step.loss for step in steps]
    assert single.history.losses == whole.history.losses


def test_the_picture_repeats_itself() -> None:
    """The same curve gives the same PNG."""
    points = range_test(parabola(1.0), exponential_rates(1e-3, 100.0, 80))
    picture = range_plot(points, suggest(points), "elves")
    assert picture.startswith(b"\x89PNG\r\n")
    assert range_plot(points, suggest(points), "elves") == picture


@pytest.fixture
def list_file(tmp_path: Path, made_up_names: tuple[str, ...]) -> Path:
    """A list of 200 names."""
    path = tmp_path / "my_list.txt"
    path.write_text("\n".join(made_up_names[::5]), "utf-8")
    return path


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(find_lr, arguments)


def test_the_command_writes_a_curve_and_a_picture(tmp_path: Path, list_file: Path) -> None:
    """On a list of one's own: a suggestion between the limits, every point as CSV, a PNG; progress is shown."""
    given = ["--data", str(list_file), "--name", "elves", "--preset", "bigram-gradient", "--steps", "60"]
    result = invoke(*given, "--low", "1e-3", "--high", "10", "--output", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    for words in ("step 60/60", "Suggested: --learning-rate", "the preset has", "learning_rates.csv"):
        assert words in result.output
    rows = list(csv.DictReader((tmp_path / "out" / "learning_rates.csv").read_text("utf-8").splitlines()))
    assert [float(row["rate"]) for row in rows] == pytest.approx(exponential_rates(1e-3, 10, 60))
    assert all(0 < float(row["loss"]) < 10 for row in rows)
    suggested = float(result.output.split("--learning-rate ")[1].split(",")[0])
    assert 1e-3 < suggested < 10
    assert (tmp_path / "out" / "learning_rates.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--low", "1", "--high", "0.1"], "--low is 1 and --high 0.1"),
        (["--low", "0"], "--low"),
        (["--steps", "3"], "--steps"),
        (["--name", "elves"], "--data and --name belong together"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: list[str], words: str) -> None:
    """Impossible limits and options end in a line with what is allowed; nothing is written."""
    result = invoke("--output", str(tmp_path / "out"), *arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_noticed_before_the_work(tmp_path: Path, list_file: Path) -> None:
    """Where a file is in the way of --output, one line says so and not a step is made."""
    (tmp_path / "file").write_text("in the way")
    given = ["--data", str(list_file), "--name", "elves", "--preset", "bigram-gradient", "--steps", "60"]
    result = invoke(*given, "--output", str(tmp_path / "file" / "out"))
    assert isinstance(result.exception, TrainingError)
    assert "nothing can be written: Not a directory. Name another folder." in str(result.exception)
    assert "step" not in result.output
