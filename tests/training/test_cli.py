"""The command line of training: lazy commands, usage errors, and `train` from end to end on a small list."""

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.text import Text

from models import ModelRegistry
from models.profanity import Refusals
from tests.training.conftest import ROOT, interrupt, invoke, run_cli
from training.cli import COMMANDS, LazyCommand, LazyGroup
from training.report import show_refusals, show_versions

SMALL = ["--n-embd", "3", "--n-hidden", "8", "--block-size", "4", "--steps", "10", "--batch-size", "32"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of the commands, with the folder of runs beside it."""
    monkeypatch.setenv("NAMEWAVE_STORE", str(tmp_path / "store" / "artifacts"))
    return tmp_path / "store" / "artifacts"


@pytest.fixture
def train(list_file: Path) -> list[str]:
    """The arguments of a short training on the list."""
    return ["train", "--data", str(list_file), "--name", "elves", *SMALL]


def published(store: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(store)) for path in store.glob("*/*/*/manifest.json"))


def test_help_imports_no_slow_package() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from training.cli import main; "
        "print(CliRunner().invoke(main, ['--help']).output); "
        "print('slow:', [name for name in ('optuna', 'torch', 'matplotlib', 'rich') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"  {name} " in result.stdout for name in COMMANDS)
    assert result.stdout.rstrip().endswith("slow: []")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_lazy_help_is_first_sentence_of_command(name: str) -> None:
    command = COMMANDS[name].load()
    assert command.name == name
    assert f"{(command.help or '').partition('.')[0]}." == COMMANDS[name].help


def test_lazy_group_lists_and_runs_both_kinds_of_commands() -> None:
    group = LazyGroup("main", lazy={"find-lr": COMMANDS["find-lr"], "gone": LazyCommand("nowhere:x", "Not here.")})
    group.add_command(click.Command("all", help="Everything."))
    runner = CliRunner()
    listed = runner.invoke(group, ["--help"]).output.split("Commands:")[1]
    assert [line.split()[0] for line in listed.strip().splitlines()] == ["all", "find-lr", "gone"]
    assert "Everything." in listed
    assert "--low" in runner.invoke(group, ["find-lr", "--help"]).output
    assert runner.invoke(group, ["all"]).exit_code == 0
    assert "No such command" in runner.invoke(group, ["other"]).output


USAGE_ERRORS = [
    ("autograd-demo --steps 0", "1<=x<=100000"),
    ("backprop-check --steps 0", "--steps"),
    ("backprop-check --architecture lstm", "--architecture"),
    ("backprop-check --precision half", "--precision"),
    ("bigram-picture --steps 0", "--steps"),
    ("bigram-picture --dataset elves", "--dataset"),
    ("find-lr --output out --low 1 --high 0.1", "--low is 1 and --high 0.1"),
    ("find-lr --output out --low 0", "--low"),
    ("find-lr --output out --steps 3", "--steps"),
    ("find-lr --output out --name elves", "--data and --name belong together"),
    ("train --n-hiden 8", "Did you mean '--n-hidden'?"),
    ("train --n-hidden many", "'many' is given; allowed: a whole number from 1 to 2,048."),
    ("train --dataset humans", "'human'"),
    ("train --data list.txt", "--data and --name belong together"),
    ("train --architecture transformer", "allowed: bigram, mlp, wavenet, gated_wavenet or lstm."),
]
VALUE_ERRORS = [
    ("backprop-check --out picture.jpg", "ends in .png"),
    ("backprop-check --data nowhere.txt", "nowhere.txt is not a readable file"),
    ("bigram-picture --out picture.svg", "ends in .png"),
    ("bigram-picture --data nowhere.txt", "nowhere.txt is not a readable file"),
    ("shapes lstm", "give a preset of another architecture, as wavenet"),
    ("train --n-hidden 0", "--n-hidden is 0; allowed: a whole number from 1 to 2,048."),
    ("train --preset wavnet", "Did you mean wavenet?"),
    ("train --data nowhere.txt --name elves", "nowhere.txt"),
    ("train --data nowhere.txt --name human", "taken by the project itself"),
    ("train --data nowhere.txt --name Elves!", "allowed: 1 to 32 of a-z"),
    ("train --resume --dataset animal", "leave out --resume"),
]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("command", "words"), [*USAGE_ERRORS, *VALUE_ERRORS])
def test_invalid_option_is_an_error_with_allowed_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*command.split())
    assert result.exit_code == (2 if (command, words) in USAGE_ERRORS else 1)
    assert words in result.output
    assert "Traceback" not in result.output
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("autograd-demo --steps 1", "--out"),
        ("bigram-picture --steps 5", "--out"),
        ("find-lr --preset bigram-gradient --dataset animal --steps 60", "--output"),
        ("diagnose bigram-gradient --dataset animal --steps 10", "--output"),
    ],
)
def test_unwritable_folder_is_an_error_before_any_step(blocked_folder: Path, command: str, option: str) -> None:
    out = blocked_folder / "counts.png" if command.startswith("bigram-picture") else blocked_folder
    result = invoke(*command.split(), option, out)
    assert result.exit_code == 1
    assert "nothing can be written: Not a directory. Name another folder." in result.stderr
    assert result.stdout == ""


def test_train_publishes_a_version_that_other_commands_use(store: Path, train: list[str]) -> None:
    result = run_cli(*train)
    assert published(store) == ["elves/wavenet/1"]
    folder = store / "elves" / "wavenet" / "1"
    assert {"card.md", "loss.png", "model.safetensors", "names.txt"} <= {path.name for path in folder.iterdir()}
    for words in ("200 names", "step 10/10", "train", "dev", "test", "curl -X POST", '"dataset":"elves"', str(folder)):
        assert words in result.output.replace("\n", "")
    assert not list(store.with_name("runs").glob("*/*"))
    assert "elves/wavenet@1" in invoke("list").output
    names = [invoke("sample", "elves", "--count", "7", "--seed", "5").stdout for _ in range(2)]
    assert names[0] == names[1]
    assert len(names[0].splitlines()) == 7
    rows = [line.split() for line in invoke("evaluate", "elves/wavenet@1").output.splitlines()]
    losses = {row[1]: (row[3], row[5]) for row in rows if len(row) == 7 and row[1] in ("train", "dev", "test")}
    assert len(losses) == 3
    assert all(computed == stored for computed, stored in losses.values())


@pytest.mark.usefixtures("store")
def test_dry_run_writes_no_file(tmp_path: Path, list_file: Path, train: list[str]) -> None:
    result = run_cli(*train, "--dry-run")
    assert "New names at temperature 1" in result.output
    assert "nothing was published" in result.output
    assert re.search(r"profanity filter: refuses \d+ of [\d,]+ names", result.output)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [list_file]


def test_refused_names_of_the_list_are_shown_with_the_words() -> None:
    output = StringIO()
    words = (
        {f"n{i}": ("bastard",) for i in range(3)} | {"o": ("crap", "shit")} | {f"p{i}": (f"w{i:02}",) for i in range(9)}
    )
    show_refusals(Console(width=40, file=output), Refusals(2600, words))
    show_refusals(Console(width=40, file=output), Refusals(7, {}))
    rest = ", ".join(f"w{i:02} 1" for i in range(7))
    assert output.getvalue().splitlines() == [
        f"profanity filter: refuses 13 of 2,600 names (0.50%) because of bastard 3, crap 1, shit 1, {rest} and 2 more",
        "profanity filter: refuses 0 of 7 names (0.00%)",
    ]


def test_list_fits_eighty_columns_and_has_tabs_in_a_pipe(elves: ModelRegistry) -> None:
    screen, pipe = StringIO(), StringIO()
    show_versions(Console(width=80, force_terminal=True, file=screen), elves)
    show_versions(Console(width=20, file=pipe), elves)
    shown, piped = screen.getvalue(), pipe.getvalue()
    assert "elves/wavenet@1  " in shown
    assert max(map(len, Text.from_ansi(shown).plain.splitlines())) <= 80
    assert [line.split("\t")[0] for line in piped.splitlines()] == ["version", "elves/wavenet@1"]


def test_bigram_by_counting_is_published_without_loss_plot(store: Path, list_file: Path) -> None:
    run_cli("train", "--data", list_file, "--name", "elves", "--preset", "bigram")
    assert published(store) == ["elves/bigram/1"]
    assert not list(store.rglob("loss.png"))


def test_table_with_weights_and_styles_is_read_shown_and_kept(store: Path, list_file: Path, tmp_path: Path) -> None:
    table, names = tmp_path / "table.csv", list_file.read_text("utf-8").split()
    rows = [f"{name},{'FM'[i % 2]},{i + 1}\n" for i, name in enumerate(names)]
    table.write_text("Name,Sex,Births\n" + "".join(rows), "utf-8")
    options = ["--data", table, "--name", "elves", "--weights", "births", "--style", "sex"]
    shown = run_cli("train", *options, "--preview").output
    assert "names from `Name`, weights from `Births`, styles from sex" in shown
    assert not store.exists()
    run_cli("train", *options, "--preset", "bigram")
    kept = (store / "elves" / "bigram" / "1" / "table.tsv").read_text("utf-8").splitlines()
    assert kept[:2] == ["name\tsex\tweight", f"{names[0].lower()}\tF\t1"]
    assert len(kept) == len(names) + 1


def test_list_comes_from_standard_input(store: Path, list_file: Path) -> None:
    command = [sys.executable, "-m", "training", "train", "--data", "-", "--name", "elves", "--preset", "bigram"]
    subprocess.run(command, cwd=ROOT, input=list_file.read_bytes(), capture_output=True, check=True)
    assert published(store) == ["elves/bigram/1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "human", "--weights", "2"], "are for one of yours: --data"),
        (["--data", "list.csv", "--name", "elves", "--weights", "2", "--teacher", "human/lstm"], "do not go together"),
    ],
)
@pytest.mark.usefixtures("store")
def test_options_of_reading_that_make_no_sense_are_refused(
    tmp_path: Path, options: list[str], message: str, list_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "".join(f"{name},1\n" for name in list_file.read_text("utf-8").split())
    (tmp_path / "list.csv").write_text(table, "utf-8")
    monkeypatch.chdir(tmp_path)
    result = invoke("train", *options)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


@pytest.mark.usefixtures("store")
def test_missing_cuda_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = invoke("train", "--device", "cuda")
    assert result.exit_code == 1
    assert result.output == "Error: --device is 'cuda', but torch sees no CUDA device here; use --device cpu.\n"


def test_resume_publishes_after_failed_publication(tmp_path: Path, train: list[str], blocked_folder: Path) -> None:
    runs = str(tmp_path / "runs")
    result = invoke(*train, "--store", blocked_folder, NAMEWAVE_RUNS=runs)
    assert result.exit_code == 1, result.output
    assert "--resume" in result.output
    result = run_cli(*train, "--resume", "--store", tmp_path / "other", NAMEWAVE_RUNS=runs)
    assert not [line for line in result.output.splitlines() if line.startswith("step")]
    assert published(tmp_path / "other") == ["elves/wavenet/1"]


def test_interrupted_training_keeps_state_and_store(tmp_path: Path, train: list[str]) -> None:
    store, runs = tmp_path / "store", tmp_path / "runs"
    interrupt([*train, "--store", str(store), "--steps", "100000000"], b"step", NAMEWAVE_RUNS=str(runs))
    assert not store.exists()
    assert (runs / "elves-wavenet" / "state.json").is_file()
    assert "An interrupted run" in run_cli(*train, "--store", store, NAMEWAVE_RUNS=str(runs)).output


def test_best_weights_of_an_interrupted_run_are_published(tmp_path: Path, train: list[str]) -> None:
    store, runs = tmp_path / "store", tmp_path / "runs"
    endless = [*train, "--store", str(store), "--steps", "100000000", "--eval-every", "5"]
    shown = interrupt(endless, b"step", NAMEWAVE_RUNS=str(runs))
    assert "With --publish it publishes the best weights so far: dev loss" in shown
    loss = re.findall(r"dev loss (\d\.\d{4}) after step", shown)[0]
    result = run_cli(*endless, "--publish", NAMEWAVE_RUNS=str(runs))
    assert not [line for line in result.output.splitlines() if line.startswith("step")]
    manifest = json.loads((store / "elves/wavenet/1/manifest.json").read_text("utf-8"))
    assert f"{manifest['metrics']['dev']:.4f}" == loss
    assert not list(runs.rglob("*.safetensors"))


def test_missing_torch_is_a_one_line_error() -> None:
    script = (
        "import importlib.util as u, runpy; real = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a); "
        "runpy.run_module('training', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "Not installed here, but needed for training: torch. Run: make training\n"
