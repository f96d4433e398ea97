"""What a sweep may vary: its file, its ranges, the sweep that ships."""

from pathlib import Path

import pytest

from tests.training.sweeping import HEAD, SWEPT
from training.config import preset_names
from training.errors import TrainingError
from training.search.sweep_plan import read_plan, sweep_names
from training.search.sweep_ranges import Choices, Range

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("swept", "words"),
    [
        (
            "leraning_rate = { low = 0.1, high = 1.0 }",
            "leraning_rate: there is no such hyperparameter; did you mean lea",
        ),
        ("learning_rate = { low = 1.0, high = 0.1 }", "low is 1 and high 0.1; low has to be the smaller one."),
        (
            "learning_rate = { low = 0.1, high = 2000.0 }",
            "--learning-rate is 2000.0; allowed: a number above 0 to 1,000.",
        ),
        ("learning_rate = { low = 0.0, high = 1.0, log = true }", "with log = true it has to be above 0."),
        ("learning_rate = { low = 0.1, high = 1.0, lgo = true }", "'lgo' is unknown; allowed: low, high, log, step."),
        ("learning_rate = { low = 0.1, high = nan }", "high is nan; allowed: a finite number."),
        ("learning_rate = { low = 0.1, high = 'x' }", "high is 'x'"),
        ("learning_rate = 0.1", "is 0.1; give { low = ..., high = ... } or { choices = [...] }."),
        ("learning_rate = { low = 0.1, high = 1.0, step = 0.4 }", "no whole number of steps of 0.4"),
        ("n_hidden = { low = 1.5, high = 8 }", "low is 1.5; n_hidden is a whole number."),
        ("n_hidden = { low = 8, high = 5000 }", "--n-hidden is 5000; allowed: a whole number from 1 to 2,048."),
        ("block_size = { choices = [4, 6] }", "block_size: block_size of a wavenet is a power of two"),
        ("optimizer = { low = 0, high = 1 }", "optimizer: is no number; give choices"),
        ("optimizer = { choices = ['sgd', 'adam'] }", "--optimizer is 'adam'; allowed: adamw or sgd."),
        ("batch_size = { choices = [16] }", "give two choices or more."),
        ("batch_size = { choices = [16, 16] }", "a choice is given twice."),
        ("split_seed = { choices = [1, 2] }", "split_seed: cannot be swept; allowed: optimizer"),
        ("", "[sweep] is empty"),
    ],
)
def test_wrong_ranges_are_named_with_what_is_allowed(tmp_path: Path, swept: str, words: str) -> None:
    """Each mistake in [sweep] ends in one line that names the field and what is allowed, before anything is trained."""
    path = tmp_path / "wrong.toml"
    path.write_text(HEAD + swept, "utf-8")
    with pytest.raises(TrainingError) as caught:
        read_plan(str(path), "elves")
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_two_mistakes_have_two_lines(tmp_path: Path) -> None:
    """Nobody has to try twice."""
    (tmp_path / "wrong.toml").write_text(HEAD + "n_embd = { low = 2, high = 1 }\nnothing = 1", "utf-8")
    with pytest.raises(TrainingError) as caught:
        read_plan(str(tmp_path / "wrong.toml"), "elves")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("given", ["wavenett", "mlp"])
def test_a_sweep_that_is_not_there_names_those_that_ship(given: str) -> None:
    """A missing file and a preset without ranges are answered with the sweeps there are."""
    assert given == "wavenett" or given in preset_names()
    with pytest.raises(TrainingError, match="ships: wavenet"):
        read_plan(given, "human")


def test_the_sweep_that_ships_is_sound() -> None:
    """Every sweep that ships can be read; a data set's own table and --passes change it as they change a preset."""
    assert "wavenet" in sweep_names()
    for name in sweep_names():
        plan = read_plan(name, "human", passes=3)
        assert plan.config({}).passes == 3
    plan = read_plan("wavenet", "human")
    assert plan.ranges["learning_rate"] == Range(low=1e-3, high=3e-2, log=True)
    assert plan.ranges["batch_size"] == Choices(choices=(64, 128, 256))
    assert plan.config({"n_hidden": 96, "weight_decay": 1}).model.n_hidden == 96


def test_a_data_sets_own_table_holds_in_a_sweep(tmp_path: Path) -> None:
    """[datasets.NAME] lies over the preset, for that data set alone, and --passes wins over steps."""
    (tmp_path / "own.toml").write_text(HEAD + SWEPT + "[datasets.elves]\nweight_decay = 3.0\n", "utf-8")
    own, other = (read_plan(str(tmp_path / "own.toml"), name, 5).config({}) for name in ("elves", "orcs"))
    assert (own.weight_decay, other.weight_decay) == (3.0, 0.0)
    assert (own.steps, own.passes) == (0, 5)
