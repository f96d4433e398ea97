"""Sweeps over hyperparameters: ranges, trials, the study on disk, and the command on tiny networks and lists."""

import csv
import io
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from rich.console import Console

from models import ModelConfig
from tests.training.conftest import PNG, SWEEP_HEAD, MakeTrainer, interrupt, invoke, png_of, run_cli
from training.config import TrainingConfig
from training.corpus import Corpus
from training.errors import Interrupted, TrainingError
from training.search.study import STARTUP_TRIALS, Row, TrialContext, open_study, run_trial
from training.search.sweep_plan import Choices, Range, parse_ranges, read_plan, sweep_names
from training.search.sweep_report import best_row, best_toml, ranked_rows, show_results, sweep_plot
from training.trainer import new_trainer

SWEPT = """
learning_rate = { low = 1e-3, high = 1e-1, log = true }
batch_size = { choices = [16, 32] }
n_hidden = { low = 4, high = 12, step = 4 }
"""
RANGES = parse_ranges(tomllib.loads(SWEPT))
MARKS = {"list of names": "ab", "--seed": "1"}
VALUES = {"learning_rate": 0.01, "batch_size": 16, "n_hidden": 8}


@pytest.mark.parametrize(
    ("swept", "words"),
    [
        ("leraning_rate = { low = 0.1, high = 1.0 }", "this hyperparameter does not exist; did you mean lea"),
        ("learning_rate = { low = 1.0, high = 0.1 }", "low is 1 and high 0.1; low must be the smaller one."),
        ("learning_rate = { low = 0.1, high = 2000.0 }", "rate is 2000.0; allowed: a number above 0 to 1,000."),
        ("learning_rate = { low = 0.0, high = 1.0, log = true }", "with log = true it must be above 0."),
        ("learning_rate = { low = 0.1, high = 1.0, lgo = true }", "'lgo' is unknown; allowed: low, high, log, step."),
        ("learning_rate = { low = 0.1, high = nan }", "high is nan; allowed: a finite number."),
        ("learning_rate = { low = 0.1, high = 'x' }", "high is 'x'"),
        ("learning_rate = 0.1", "is 0.1; give { low = ..., high = ... } or { choices = [...] }."),
        ("learning_rate = { low = 0.1, high = 1.0, step = 0.4 }", "not a whole number of steps of 0.4"),
        ("n_hidden = { low = 1.5, high = 8 }", "low is 1.5; n_hidden is a whole number."),
        ("n_hidden = { low = 8, high = 5000 }", "--n-hidden is 5000; allowed: a whole number from 1 to 2,048."),
        ("block_size = { choices = [4, 6] }", "block_size: block_size of a wavenet is a power of two"),
        ("optimizer = { low = 0, high = 1 }", "optimizer: is not a number; give choices"),
        ("optimizer = { choices = ['sgd', 'adam'] }", "--optimizer is 'adam'; allowed: adamw or sgd."),
        ("batch_size = { choices = [16] }", "give two choices or more."),
        ("batch_size = { choices = [16, 16] }", "a choice is given twice."),
        ("split_seed = { choices = [1, 2] }", "split_seed: cannot be swept; allowed: optimizer"),
        ("", "[sweep] is empty"),
    ],
)
def test_wrong_range_is_a_one_line_error(tmp_path: Path, swept: str, words: str) -> None:
    (tmp_path / "wrong.toml").write_text(SWEEP_HEAD + swept, "utf-8")
    with pytest.raises(TrainingError) as caught:
        read_plan(str(tmp_path / "wrong.toml"), "elves")
    assert swept.partition(" ")[0] in str(caught.value).replace("-", "_")
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_each_wrong_range_has_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(SWEEP_HEAD + "n_embd = { low = 2, high = 1 }\nnothing = 1", "utf-8")
    with pytest.raises(TrainingError, match=r"\A[^\n]+\n[^\n]+\Z"):
        read_plan(str(tmp_path / "wrong.toml"), "elves")


@pytest.mark.parametrize("given", ["wavenett", "mlp"])
def test_missing_sweep_is_answered_with_shipped_ones(given: str) -> None:
    with pytest.raises(TrainingError, match="ships: wavenet"):
        read_plan(given, "human")


def test_shipped_sweeps_are_valid() -> None:
    assert "wavenet" in sweep_names()
    assert all(read_plan(name, "human", passes=3).config({}).passes == 3 for name in sweep_names())
    plan = read_plan("wavenet", "human")
    assert plan.ranges["learning_rate"] == Range(low=1e-3, high=3e-2, log=True)
    assert plan.ranges["batch_size"] == Choices(choices=(64, 128, 256))
    assert plan.config({"n_hidden": 96, "weight_decay": 1}).model.n_hidden == 96


def test_dataset_table_overrides_sweep_for_that_dataset(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SWEEP_HEAD + SWEPT + "[datasets.elves]\nweight_decay = 3.0\n", "utf-8")
    own, other = (read_plan(str(tmp_path / "own.toml"), name, 5).config({}) for name in ("elves", "orcs"))
    assert (own.weight_decay, other.weight_decay) == (3.0, 0.0)
    assert (own.steps, own.passes) == (0, 5)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(SWEEP_HEAD + SWEPT, "utf-8")
    return tmp_path / "tiny.toml"


@pytest.fixture
def given(plan_file: Path, list_file: Path) -> list[str]:
    """The arguments of a sweep over the list."""
    return ["sweep", str(plan_file), "--data", str(list_file), "--name", "elves"]


def results(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "results.csv").read_text("utf-8").splitlines()))
    return [{field: value for field, value in row.items() if field != "seconds"} for row in rows]


def test_sweep_writes_results_plot_and_best_preset(out: Path, given: list[str]) -> None:
    result = run_cli(*given, "--trials", "3", "--output", out)
    assert "trial 3 of 3: learning_rate" in result.output
    assert "best first" in result.output
    rows = results(out)
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    best = min(rows, key=lambda row: float(row["dev_loss"]))
    assert all(1e-3 <= float(row["learning_rate"]) <= 1e-1 and row["n_hidden"] in ("4", "8", "12") for row in rows)
    preset = (out / "best.toml").read_text("utf-8")
    config = TrainingConfig.model_validate(tomllib.loads(preset))
    assert config.learning_rate == float(best["learning_rate"])
    assert (config.batch_size, config.model.n_hidden) == (int(best["batch_size"]), int(best["n_hidden"]))
    assert (config.steps, config.model.n_embd) == (6, 3)
    assert f"dev loss {float(best['dev_loss']):.4f}" in preset
    assert (out / "sweep.png").read_bytes().startswith(PNG)


def test_resumed_sweep_equals_uninterrupted_sweep(tmp_path: Path, given: list[str]) -> None:
    whole, parts, other = (tmp_path / name for name in ("whole", "parts", "other"))
    run_cli(*given, "--trials", "5", "--output", whole)
    run_cli(*given, "--trials", "2", "--output", parts)
    result = run_cli(*given, "--trials", "5", "--output", parts, "--resume")
    assert "trial 3 of 5" in result.output
    assert "trial 2 of 5" not in result.output
    assert len(results(whole)) == 5
    assert results(parts) == results(whole)
    assert (parts / "best.toml").read_bytes() == (whole / "best.toml").read_bytes()
    run_cli(*given, "--trials", "2", "--output", other, "--seed", "2")
    assert results(other) != results(whole)[:2]


def test_broken_trial_is_drawn_again(tmp_path: Path) -> None:
    """A study whose process dies in a trial asks for the same values again, random trials or not."""

    def ask_and_tell(folder: Path, broken_after: list[int]) -> list[dict[str, object]]:
        seen: list[dict[str, object]] = []
        for total in [*broken_after, STARTUP_TRIALS + 3]:
            with open_study(folder, RANGES, 1, MARKS, resume=bool(seen)) as study:
                assert len(study.rows()) == len(seen)
                while len(seen) < total:
                    trial = study.ask(100)
                    seen.append(trial.params)
                    rate = trial.params["learning_rate"]
                    trial.report(3 + rate, 500)
                    study.tell(trial, "complete", 2 + abs(rate - 0.02), 1.0)
                study.ask(100).report(1.0, 500)
        return seen

    whole = ask_and_tell(tmp_path / "whole", [])
    assert ask_and_tell(tmp_path / "broken", [2, STARTUP_TRIALS + 1]) == whole
    assert len({str(values) for values in whole}) == len(whole)


def test_resume_requires_same_list_ranges_and_seed(out: Path, given: list[str], list_file: Path) -> None:
    once = [*given, "--trials", "1", "--output", str(out)]
    assert "leave out --resume" in invoke(*once, "--resume").stderr
    run_cli(*once)
    before = (out / "study.db").read_bytes()
    for arguments, words in (
        ([], "lies in"),
        (["--resume", "--seed", "5"], "another --seed"),
        (["--resume", "--passes", "2"], "another preset, range or --passes"),
    ):
        result = invoke(*once, *arguments)
        assert result.exit_code == 1
        assert words in result.stderr
    list_file.write_text(list_file.read_text("utf-8") + "xaver\n", "utf-8")
    assert "another list of names" in invoke(*once, "--resume").stderr
    assert (out / "study.db").read_bytes() == before
    (out / "study.db").write_bytes(b"nonsense" * 500)
    assert "cannot be used" in invoke(*once, "--resume").stderr


def test_running_sweep_locks_its_folder(out: Path) -> None:
    with open_study(out, RANGES, 1, MARKS, resume=False) as study:
        trial = study.ask(100)
        for resume in (False, True):
            with (
                pytest.raises(TrainingError, match=r"Another sweep is running in .*out\. Wait until it ends"),
                open_study(out, RANGES, 1, MARKS, resume=resume),
            ):
                pass
        study.tell(trial, "complete", 2.0, 1.0)
    with open_study(out, RANGES, 1, MARKS, resume=True) as study:
        assert [row.dev_loss for row in study.rows()] == [2.0]


@pytest.mark.parametrize(
    ("folder", "words"), [("file/folder", "nothing can be written: Not a directory"), ("store/out", "lies in a store")]
)
@pytest.mark.usefixtures("blocked_folder")
def test_unusable_folder_ends_sweep_before_any_trial(tmp_path: Path, given: list[str], folder: str, words: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "aliases.json").write_text("{}")
    result = invoke(*given, "--output", tmp_path / folder)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "trial" not in result.output
    assert not (tmp_path / folder).exists()


def test_diverged_trials_are_listed_as_failed(out: Path, given: list[str], plan_file: Path) -> None:
    wild = SWEEP_HEAD.replace("eval_every = 2", "eval_every = 60").replace(
        "steps = 6", 'steps = 60\noptimizer = "sgd"\nl2 = 100.0\nschedule = "constant"'
    )
    plan_file.write_text(wild + "learning_rate = { low = 900.0, high = 1000.0 }", "utf-8")
    assert "None of 2 trials" in invoke(*given, "--trials", "2", "--output", out).stderr
    rows = results(out)
    assert [row["verdict"] for row in rows] == ["failed", "failed"]
    assert all("is not a number" in row["note"] for row in rows)


def trial_context(hopeless: Callable[[int, float], bool], stopped: bool = False) -> TrialContext:
    return TrialContext(lambda step: None, lambda: stopped, hopeless)


def test_hopeless_trial_is_pruned_with_its_best_loss(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    hopeless, trainer = Mock(side_effect=lambda place, dev_loss: place > 500), make_trainer(tiny_config)
    result = run_trial(trainer, trial_context(hopeless))
    asked = [call.args[0] for call in hopeless.call_args_list]
    assert (result.verdict, asked, trainer.step) == ("pruned", [416, 833], 10)
    assert result.dev_loss == min(loss for _, loss in trainer.history.dev)


def test_trial_ends_complete_at_last_step_or_interrupted(
    make_trainer: MakeTrainer, tiny_config: TrainingConfig
) -> None:
    late = run_trial(make_trainer(tiny_config), trial_context(lambda place, loss: place == 1000))
    assert late.verdict == "complete"
    with pytest.raises(Interrupted):
        run_trial(make_trainer(tiny_config), trial_context(lambda place, loss: False, stopped=True))


def test_loss_of_trial_is_lowest_dev_loss_of_plain_run(corpus: Corpus, tiny_config: TrainingConfig) -> None:
    small = replace(corpus, names=corpus.names[:60])
    trial, alone = (new_trainer(tiny_config, small, torch.device("cpu")) for _ in range(2))
    losses = [step.dev_loss for step in alone.fit() if step.dev_loss is not None]
    assert len(losses) == 3
    assert run_trial(trial, trial_context(lambda place, dev_loss: False)).dev_loss == min(losses)


def test_only_complete_trials_can_be_best() -> None:
    verdicts = [("failed", None), ("pruned", 1.0), ("complete", 2.0), ("complete", 1.5)]
    rows = [Row(i, verdict, {}, loss, 1.0) for i, (verdict, loss) in enumerate(verdicts, start=1)]
    assert [row.number for row in ranked_rows(rows)] == [4, 3, 2, 1]
    assert best_row(rows) == rows[3]
    assert best_row(rows[:2]) is None


def test_results_table_has_no_empty_column() -> None:
    def columns_of(rows: list[Row]) -> list[str]:
        console = Console(file=io.StringIO(), width=80, record=True)
        show_results(console, rows, ["learning_rate", "batch_size"])
        cells = [line for line in console.export_text().splitlines() if line.startswith(("┃", "│"))]
        columns = zip(*(line.replace("┃", "│").split("│")[1:-1] for line in cells), strict=True)
        words = [" ".join(cell.strip() for cell in column).strip() for column in columns]
        assert all(words)
        return words

    whole = [Row(1, "complete", {**VALUES}, 2.0, 1.0), Row(2, "complete", {**VALUES}, 1.5, 1.0)]
    assert len(columns_of(whole)) == 5
    assert columns_of([*whole, Row(3, "pruned", {**VALUES}, 3.0, 1.0)])[-1].split() == ["note", "stopped"]


def test_best_preset_is_read_back_exactly() -> None:
    model = ModelConfig(architecture="mlp", activation="relu")
    config = TrainingConfig(model=model, learning_rate=1e-5 / 3, l2=1e-17, optimizer="sgd")
    assert TrainingConfig.model_validate(tomllib.loads(best_toml(config, "Best.").decode())) == config


def test_plot_is_reproducible_and_needs_a_complete_trial() -> None:
    rows = [
        Row(1, "failed", VALUES, None, 1.0, "why"),
        Row(2, "complete", VALUES, 9.0, 1.0),
        Row(3, "pruned", VALUES, 2.4, 1.0),
        Row(4, "complete", {**VALUES, "batch_size": 32}, 2.0, 1.0),
        Row(5, "complete", VALUES, 2.1, 1.0),
    ]
    assert png_of(lambda: sweep_plot(rows, RANGES, "tiny")) != sweep_plot(rows[3:4], RANGES, "tiny")
    with pytest.raises(ValueError, match="no plot"):
        sweep_plot(rows[:1], RANGES, "tiny")


def test_interrupted_sweep_keeps_finished_trials(out: Path, given: list[str], plan_file: Path) -> None:
    text = (SWEEP_HEAD + SWEPT).replace("steps = 6", "steps = 100").replace("eval_every = 2", "")
    plan_file.write_text(text, "utf-8")
    rest = interrupt([*given, "--trials", "100000", "--output", str(out)], b"trial 2 of")
    kept = int(rest.split(" are kept")[0].split()[-1])
    assert kept >= 1
    run_cli(*given, "--trials", str(kept + 1), "--output", out, "--resume")
    assert [int(row["trial"]) for row in results(out)] == list(range(1, kept + 2))
