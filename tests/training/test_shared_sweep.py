"""Sweeps that several machines share: who runs which trial, on a journal file and on a database."""

import csv
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from tests.training.conftest import ROOT, SWEEP_HEAD, invoke, run_cli
from training.errors import TrainingError
from training.search import study
from training.search.study import join_study
from training.search.sweep_plan import parse_ranges

PLAN = f"{SWEEP_HEAD}learning_rate = {{ low = 1e-3, high = 1e-1, log = true }}\n"
RANGES = parse_ranges({"learning_rate": {"low": 0.001, "high": 0.1, "log": True}})
MARKS = {"list of names": "ab", "--seed": "1"}


@pytest.fixture(params=["{}/common/sweep.log", "sqlite:///{}/sweep.db"], ids=["journal", "database"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a storage that is not there yet."""
    return str(request.param.format(tmp_path))


@pytest.fixture
def given(tmp_path: Path, list_file: Path) -> list[str]:
    """The arguments of a sweep over the list."""
    (tmp_path / "tiny.toml").write_text(PLAN, "utf-8")
    return ["sweep", str(tmp_path / "tiny.toml"), "--data", str(list_file), "--name", "elves"]


def trials_in(folder: Path) -> list[str]:
    return [row["trial"] for row in csv.DictReader((folder / "results.csv").read_text("utf-8").splitlines())]


def test_last_trial_is_run_once(storage: str) -> None:
    with (
        join_study(storage, "elves", RANGES, MARKS, False) as one,
        join_study(storage, "elves", RANGES, MARKS, False) as two,
    ):
        first, second = one.ask(2), two.ask(2)
        assert first is not None
        assert second is not None
        assert first.params != second.params
        assert one.ask(2) is two.ask(2) is None
        two.drop(second)
        again = one.ask(2)
        assert again is not None
        for shared, trial in ((one, first), (one, again)):
            shared.tell(trial, "complete", 2.0, 1.0)
        assert [row.values for row in two.rows()] == [first.params, again.params]
        assert two.ask(2) is None


def test_race_for_the_last_trial_has_one_winner(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have found a trial missing before either takes it: the lower number has it."""
    with (
        join_study(storage, "elves", RANGES, MARKS, False) as one,
        join_study(storage, "elves", RANGES, MARKS, False) as two,
    ):
        count = two._taken
        monkeypatch.setattr(two, "_taken", lambda number=None: 0 if number is None else count(number))
        winner = one.ask(1)
        assert winner is not None
        assert two.ask(1) is None
        one.tell(winner, "complete", 2.0, 1.0)
        assert [row.dev_loss for row in two.rows()] == [2.0]


def test_many_machines_run_each_trial_once(storage: str) -> None:
    trials, machines = 12, 4
    done: list[int] = []
    with join_study(storage, "elves", RANGES, MARKS, False):
        """Exists before the threads look for it."""

    def run() -> None:
        with join_study(storage, "elves", RANGES, MARKS, False) as joined:
            while (trial := joined.ask(trials)) is not None:
                joined.tell(trial, "complete", 2.0, 1.0)
                done.append(trial.number)

    threads = [threading.Thread(target=run) for _ in range(machines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(done)) == len(done) == trials


def test_resume_drops_trials_of_a_crashed_machine(storage: str) -> None:
    with join_study(storage, "elves", RANGES, MARKS, False) as joined:
        assert joined.ask(1) is not None
    with join_study(storage, "elves", RANGES, MARKS, False) as joined:
        assert joined.ask(1) is None
    with join_study(storage, "elves", RANGES, MARKS, True) as joined:
        assert joined.ask(1) is not None


def test_storage_holds_sweeps_of_several_titles(storage: str) -> None:
    with join_study(storage, "elves", RANGES, MARKS, False):
        other = {**MARKS, "list of names": "cd"}
        with join_study(storage, "orcs", RANGES, other, False) as joined:
            assert joined.rows() == []
        with pytest.raises(TrainingError, match="made with another list of names"):
            join_study(storage, "elves", RANGES, other, False).__enter__()


def test_tables_that_another_machine_just_made_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, make = f"sqlite:///{tmp_path}/sweep.db", optuna.storages.RDBStorage

    def late(url: str) -> object:
        make(url)
        monkeypatch.setattr(optuna.storages, "RDBStorage", make)
        raise OperationalError("CREATE TABLE studies", {}, Exception("table studies already exists"))

    monkeypatch.setattr(study, "PAUSE", 0)
    monkeypatch.setattr(optuna.storages, "RDBStorage", late)
    with join_study(url, "elves", RANGES, MARKS, False) as joined:
        assert joined.rows() == []


@pytest.mark.parametrize("url", ["nothing://host/sweeps", "/dev/null/sweep.log", "postgresql://"])
def test_impossible_storage_is_one_line(given: list[str], tmp_path: Path, url: str) -> None:
    result = invoke(*given, "--storage", url, "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert "--storage cannot be used" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_two_processes_run_the_trials_of_one_sweep(storage: str, given: list[str], tmp_path: Path) -> None:
    trials = 6
    command = [sys.executable, "-m", "training", *given, "--trials", str(trials), "--storage", storage]
    outputs = [tmp_path / "one", tmp_path / "two"]
    processes = [
        subprocess.Popen([*command, "--output", str(output)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for output in outputs
    ]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    # Each trial has a line in one of the two outputs.
    assert sum(text.count(f" of {trials}: learning_rate ") for text in printed) == trials
    assert any(trials_in(output) == [*map(str, range(1, 7))] for output in outputs if (output / "results.csv").exists())
    run_cli(*given, "--trials", str(trials), "--storage", storage, "--output", tmp_path / "later")
    assert len(trials_in(tmp_path / "later")) == trials
