"""The sweep: its trials, its memory on disk and what it leaves, on tiny networks and lists."""

import csv
import io
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from models import ModelConfig
from tests.training.sweeping import HEAD, SWEPT, invoke
from training.config import TrainingConfig
from training.corpus import Corpus
from training.errors import Interrupted, TrainingError
from training.new_trainer import new_trainer
from training.search.study import STARTUP_TRIALS, Row, open_study
from training.search.sweep_plot import sweep_plot
from training.search.sweep_ranges import parse_ranges
from training.search.sweep_report import best_row, best_toml, ranked_rows, show_results
from training.search.sweep_trial import Surroundings, run_trial
from training.trainer import Trainer

ROOT = Path(__file__).parents[2]
RANGES = parse_ranges(tomllib.loads(SWEPT))
MARKS = {"list of names": "ab", "--seed": "1"}


@pytest.fixture
def given(tmp_path: Path, made_up_names: tuple[str, ...]) -> list[str]:
    """A sweep and a list of 125 names in files, as arguments."""
    (tmp_path / "tiny.toml").write_text(HEAD + SWEPT, "utf-8")
    (tmp_path / "list.txt").write_text("\n".join(made_up_names[::8]), "utf-8")
    return [str(tmp_path / "tiny.toml"), "--data", str(tmp_path / "list.txt"), "--name", "elves"]


def results(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "results.csv").read_text("utf-8").splitlines()))
    return [{field: value for field, value in row.items() if field != "seconds"} for row in rows]


def test_three_trials_end_in_a_table_a_plot_and_a_preset(tmp_path: Path, given: list[str]) -> None:
    """All trials are listed and written; the best preset's values are the best row's, in the ranges, and valid."""
    result = invoke(*given, "--trials", "3", "--output", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert "trial 3 of 3: learning_rate" in result.output
    assert "best first" in result.output
    rows = results(tmp_path / "out")
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    best = min(rows, key=lambda row: float(row["dev_loss"]))
    assert all(1e-3 <= float(row["learning_rate"]) <= 1e-1 and row["n_hidden"] in ("4", "8", "12") for row in rows)
    config = TrainingConfig.model_validate(tomllib.loads((tmp_path / "out" / "best.toml").read_text("utf-8")))
    assert config.learning_rate == float(best["learning_rate"])
    assert (config.batch_size, config.model.n_hidden) == (int(best["batch_size"]), int(best["n_hidden"]))
    assert (config.steps, config.model.n_embd) == (6, 3)
    assert (tmp_path / "out" / "sweep.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert f"dev loss {float(best['dev_loss']):.4f}" in (tmp_path / "out" / "best.toml").read_text("utf-8")


def test_a_resumed_sweep_is_an_unbroken_one(tmp_path: Path, given: list[str]) -> None:
    """Two trials and three more have the values, losses and best preset of five at once; another seed has others."""
    assert invoke(*given, "--trials", "5", "--output", str(tmp_path / "whole")).exit_code == 0
    assert invoke(*given, "--trials", "2", "--output", str(tmp_path / "parts")).exit_code == 0
    result = invoke(*given, "--trials", "5", "--output", str(tmp_path / "parts"), "--resume")
    assert result.exit_code == 0, result.output
    assert "trial 3 of 5" in result.output
    assert "trial 2 of 5" not in result.output
    assert len(results(tmp_path / "whole")) == 5
    assert results(tmp_path / "parts") == results(tmp_path / "whole")
    assert (tmp_path / "parts" / "best.toml").read_bytes() == (tmp_path / "whole" / "best.toml").read_bytes()
    assert invoke(*given, "--trials", "2", "--output", str(tmp_path / "other"), "--seed", "2").exit_code == 0
    assert results(tmp_path / "other") != results(tmp_path / "whole")[:2]


def test_a_broken_trial_is_drawn_again_and_leaves_no_trace(tmp_path: Path) -> None:
    """A study whose process died in a trial asks for the same values, past the random trials too, and counts right."""

    def ask_and_tell(folder: Path, broken_after: list[int]) -> list[dict[str, object]]:
        seen: list[dict[str, object]] = []
        for total in [*broken_after, STARTUP_TRIALS + 3]:
            with open_study(folder, RANGES, 1, MARKS, resume=bool(seen)) as study:
                assert len(study.rows()) == len(seen)
                while len(seen) < total:
                    trial = study.ask()
                    seen.append(trial.params)
                    rate = trial.params["learning_rate"]
                    trial.report(3 + rate, 500)
                    study.tell(trial, "complete", 2 + abs(rate - 0.02), 1.0)
                study.ask().report(1.0, 500)
        return seen

    whole = ask_and_tell(tmp_path / "whole", [])
    assert ask_and_tell(tmp_path / "broken", [2, STARTUP_TRIALS + 1]) == whole
    assert len({str(values) for values in whole}) == len(whole)


def test_a_study_is_not_overwritten_nor_mixed(tmp_path: Path, given: list[str]) -> None:
    """A study is gone on with only when asked, where there is one, and with the same list, ranges and seed."""
    out = ["--trials", "1", "--output", str(tmp_path / "out")]
    assert "leave out --resume" in str(invoke(*given, *out, "--resume").exception)
    assert invoke(*given, *out).exit_code == 0
    before = (tmp_path / "out" / "study.db").read_bytes()
    for arguments, words in (
        ([], "lies in"),
        (["--resume", "--seed", "5"], "another --seed"),
        (["--resume", "--passes", "2"], "another preset, range or --passes"),
    ):
        result = invoke(*given, *out, *arguments)
        assert isinstance(result.exception, TrainingError)
        assert words in str(result.exception)
    (tmp_path / "list.txt").write_text((tmp_path / "list.txt").read_text("utf-8") + "\nxaver\n", "utf-8")
    assert "another list of names" in str(invoke(*given, *out, "--resume").exception)
    assert (tmp_path / "out" / "study.db").read_bytes() == before
    (tmp_path / "out" / "study.db").write_bytes(b"nonsense" * 500)
    assert "cannot be used" in str(invoke(*given, *out, "--resume").exception)


def test_two_sweeps_do_not_share_a_folder(tmp_path: Path) -> None:
    """While one sweep is at work another one in its folder is refused in one line, with --resume and without, and the
    first one's running trial stays; when it has ended, --resume goes on.
    """
    with open_study(tmp_path / "other", RANGES, 1, MARKS, resume=False) as study:
        trial = study.ask()
        for resume in (False, True):
            with (
                pytest.raises(TrainingError, match=r"Another sweep is at work in .*other\. Wait until it ends"),
                open_study(tmp_path / "other", RANGES, 1, MARKS, resume=resume),
            ):
                pass
        study.tell(trial, "complete", 2.0, 1.0)
    with open_study(tmp_path / "other", RANGES, 1, MARKS, resume=True) as study:
        assert [row.dev_loss for row in study.rows()] == [2.0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, given: list[str]) -> None:
    """Where a file is in the way, or the folder lies in a store, one line says so before anything is written there."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "aliases.json").write_text("{}")
    for folder, words in (("file/out", "nothing can be written: Not a directory"), ("store/out", "lies in a store")):
        result = invoke(*given, "--output", str(tmp_path / folder))
        assert words in str(result.exception)
        assert "trial" not in result.output
        assert not (tmp_path / folder).exists()


def test_a_diverged_trial_is_a_failed_one_and_not_the_end(tmp_path: Path, given: list[str]) -> None:
    """Where every rate blows up all trials are tried and listed as failed; one line says what to do."""
    wild = HEAD.replace("eval_every = 2", "eval_every = 60").replace(
        "steps = 6", 'steps = 60\noptimizer = "sgd"\nl2 = 100.0\nschedule = "constant"'
    )
    (tmp_path / "tiny.toml").write_text(wild + "learning_rate = { low = 900.0, high = 1000.0 }", "utf-8")
    result = invoke(*given, "--trials", "2", "--output", str(tmp_path / "out"))
    assert "None of 2 trials" in str(result.exception)
    rows = results(tmp_path / "out")
    assert [row["verdict"] for row in rows] == ["failed", "failed"]
    assert all("no number any more" in row["note"] for row in rows)


def surroundings(hopeless: Callable[[int, float], bool], stopped: bool = False) -> Surroundings:
    return Surroundings(lambda step: None, lambda: stopped, hopeless)


def test_a_hopeless_trial_ends_early_with_its_best(
    make_trainer: Callable[[TrainingConfig], Trainer], tiny_config: TrainingConfig
) -> None:
    """Places are thousandths of the run; the verdict ends it there, but at the last step it is complete anyway."""
    asked: list[int] = []

    def hopeless(place: int, dev_loss: float) -> bool:
        asked.append(place)
        return place > 500

    trainer = make_trainer(tiny_config)
    result = run_trial(trainer, surroundings(hopeless))
    assert (result.verdict, asked, trainer.step) == ("pruned", [416, 833], 10)
    assert result.dev_loss == min(loss for _, loss in trainer.history.dev)
    late = run_trial(make_trainer(tiny_config), surroundings(lambda place, loss: place == 1000))
    assert late.verdict == "complete"
    with pytest.raises(Interrupted):
        run_trial(make_trainer(tiny_config), surroundings(hopeless, stopped=True))


def test_the_trials_loss_is_the_best_dev_loss_of_a_plain_run(corpus: Corpus, tiny_config: TrainingConfig) -> None:
    """On sixty names, a trial is the run that the trainer makes alone, and its worth that run's lowest dev loss."""
    small = replace(corpus, names=corpus.names[:60])
    result = run_trial(
        new_trainer(tiny_config, small, torch.device("cpu")), surroundings(lambda place, dev_loss: False)
    )
    alone = new_trainer(tiny_config, small, torch.device("cpu"))
    losses = [step.dev_loss for step in alone.fit() if step.dev_loss is not None]
    assert len(losses) == 3
    assert result.dev_loss == min(losses)


def test_the_best_is_complete_and_ranks_first() -> None:
    """A trial that was stopped is never the best, however low; failed ones come last."""
    rows = [
        Row(1, "failed", {}, None, 1.0, "why"),
        Row(2, "pruned", {}, 1.0, 1.0),
        Row(3, "complete", {}, 2.0, 1.0),
        Row(4, "complete", {}, 1.5, 1.0),
    ]
    assert [row.number for row in ranked_rows(rows)] == [4, 3, 2, 1]
    assert best_row(rows) == rows[3]
    assert best_row(rows[:2]) is None


def test_the_table_has_no_empty_column() -> None:
    """At eighty columns no column is blank from head to foot: the last one has a head, or is not there at all."""

    def columns_of(rows: list[Row]) -> list[str]:
        console = Console(file=io.StringIO(), width=80, record=True)
        show_results(console, rows, ["learning_rate", "batch_size"])
        cells = [line for line in console.export_text().splitlines() if line.startswith(("┃", "│"))]
        columns = zip(*(line.replace("┃", "│").split("│")[1:-1] for line in cells), strict=True)
        words = [" ".join(cell.strip() for cell in column).strip() for column in columns]
        assert all(words)
        return words

    values = {"learning_rate": 0.01, "batch_size": 32}
    whole = [Row(1, "complete", {**values}, 2.0, 1.0), Row(2, "complete", {**values}, 1.5, 1.0)]
    assert len(columns_of(whole)) == 5
    assert columns_of([*whole, Row(3, "pruned", {**values}, 3.0, 1.0)])[-1].split() == ["note", "stopped"]


def test_a_preset_written_is_the_preset_read() -> None:
    """Odd numbers and words come back from best.toml to the bit."""
    config = TrainingConfig(
        model=ModelConfig(architecture="mlp", activation="relu"), learning_rate=1e-5 / 3, l2=1e-17, optimizer="sgd"
    )
    text = best_toml(config, "Best.").decode()
    assert TrainingConfig.model_validate(tomllib.loads(text)) == config


def test_the_picture_repeats_itself_and_needs_a_complete_trial() -> None:
    """Trials of every kind give the same PNG twice; without a complete one there is none."""
    values = {"learning_rate": 0.01, "batch_size": 16, "n_hidden": 8}
    rows = [
        Row(1, "failed", values, None, 1.0, "why"),
        Row(2, "complete", values, 9.0, 1.0),
        Row(3, "pruned", values, 2.4, 1.0),
        Row(4, "complete", {**values, "batch_size": 32}, 2.0, 1.0),
        Row(5, "complete", values, 2.1, 1.0),
    ]
    picture = sweep_plot(rows, RANGES, "tiny")
    assert picture.startswith(b"\x89PNG\r\n")
    assert sweep_plot(rows, RANGES, "tiny") == picture
    assert sweep_plot(rows[3:4], RANGES, "tiny") != picture
    with pytest.raises(ValueError, match="no plot"):
        sweep_plot(rows[:1], RANGES, "tiny")


def test_ctrl_c_keeps_the_finished_trials(tmp_path: Path, given: list[str]) -> None:
    """A real interrupt in the second trial ends in one line with the way on; then --resume runs what was missing."""
    text = (HEAD + SWEPT).replace("steps = 6", "steps = 100").replace("eval_every = 2", "")
    (tmp_path / "tiny.toml").write_text(text, "utf-8")
    script = "import sys; from training.errors import Interrupted\nfrom training.search.sweep import sweep\n"
    script += "try: sweep(standalone_mode=False)\nexcept Interrupted as error: print(error); sys.exit(130)"
    out = ["--output", str(tmp_path / "out")]
    command = [sys.executable, "-c", script, *given, "--trials", "100000", *out]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith(b"trial 2 of"):
                break
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read().decode()
    assert run.returncode == 130, rest
    assert "--resume goes on from here" in rest
    kept = int(rest.split(" are kept")[0].split()[-1])
    assert kept >= 1
    result = invoke(*given, "--trials", str(kept + 1), *out, "--resume")
    assert result.exit_code == 0, result.output
    assert [int(row["trial"]) for row in results(tmp_path / "out")] == list(range(1, kept + 2))
