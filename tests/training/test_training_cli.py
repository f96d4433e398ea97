"""The command line from end to end, on a small list in a temporary folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from training.cli import main

SMALL = ["--n-embd", "3", "--n-hidden", "8", "--block-size", "4", "--steps", "10", "--batch-size", "32"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def list_file(tmp_path: Path, made_up_names: tuple[str, ...]) -> Path:
    """A list of 200 names, with blanks and capitals that do not matter."""
    path = tmp_path / "my_list.txt"
    path.write_text("".join(f" {name.title()}\n" for name in made_up_names[::5]), "utf-8")
    return path


def invoke(tmp_path: Path, *arguments: str) -> Result:
    environment = {"NAMEWAVE_STORE": str(tmp_path / "store" / "artifacts"), "COLUMNS": "120"}
    return CliRunner(env=environment).invoke(main, arguments)


def published(tmp_path: Path) -> list[str]:
    root = tmp_path / "store" / "artifacts"
    return sorted(str(path.parent.relative_to(root)) for path in root.glob("*/*/*/manifest.json"))


def test_a_list_of_ones_own_becomes_a_version(tmp_path: Path, list_file: Path) -> None:
    """Train, list, evaluate and sample work one after the other, and the run leaves no state behind."""
    result = invoke(tmp_path, "train", "--data", str(list_file), "--name", "elves", *SMALL)
    assert result.exit_code == 0, result.output
    assert published(tmp_path) == ["elves/wavenet/1"]
    folder = tmp_path / "store" / "artifacts" / "elves" / "wavenet" / "1"
    assert {"card.md", "loss.png", "model.safetensors", "names.txt"} <= {path.name for path in folder.iterdir()}
    for words in ("200 names", "step 10/10", "train", "dev", "test", "curl -X POST", '"dataset":"elves"', str(folder)):
        assert words in result.output.replace("\n", "")
    assert not list((tmp_path / "store" / "runs").glob("*/*"))
    assert "elves/wavenet@1" in invoke(tmp_path, "list").output
    names = [invoke(tmp_path, "sample", "elves", "--count", "7", "--seed", "5").stdout for _ in range(2)]
    assert names[0] == names[1]
    assert len(names[0].splitlines()) == 7
    rows = [line.split() for line in invoke(tmp_path, "evaluate", "elves/wavenet@1").output.splitlines()]
    losses = {row[1]: (row[3], row[5]) for row in rows if len(row) == 7 and row[1] in ("train", "dev", "test")}
    assert len(losses) == 3
    assert all(computed == stored for computed, stored in losses.values())


def test_a_dry_run_publishes_nothing(tmp_path: Path, list_file: Path) -> None:
    """Losses and names are shown, and neither a store nor a state is left."""
    result = invoke(tmp_path, "train", "--data", str(list_file), "--name", "elves", "--dry-run", *SMALL)
    assert result.exit_code == 0, result.output
    assert "New names at temperature 1" in result.output
    assert "nothing was published" in result.output
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [list_file]


def test_counting_publishes_too(tmp_path: Path, list_file: Path) -> None:
    """The bigram by counting needs no steps and has no plot."""
    result = invoke(tmp_path, "train", "--data", str(list_file), "--name", "elves", "--preset", "bigram")
    assert result.exit_code == 0, result.output
    assert published(tmp_path) == ["elves/bigram/1"]
    assert not list((tmp_path / "store").rglob("loss.png"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n-hiden", "8"], "Did you mean '--n-hidden'?"),
        (["--n-hidden", "many"], "'many' is given; allowed: a whole number from 1 to 2,048."),
        (["--n-hidden", "0"], "--n-hidden is 0; allowed: a whole number from 1 to 2,048."),
        (["--architecture", "transformer"], "allowed: bigram, mlp, wavenet, gated_wavenet or lstm."),
        (["--preset", "wavnet"], "Did you mean wavenet?"),
        (["--dataset", "humans"], "'human'"),
        (["--data", "list.txt"], "--data and --name belong together"),
        (["--data", "nowhere.txt", "--name", "elves"], "nowhere.txt"),
        (["--data", "nowhere.txt", "--name", "human"], "taken by the project itself"),
        (["--data", "nowhere.txt", "--name", "Elves!"], "allowed: 1 to 32 of a-z"),
        (["--resume", "--dataset", "animal"], "leave out --resume"),
    ],
)
def test_mistakes_end_in_a_line_that_helps(tmp_path: Path, arguments: list[str], words: str) -> None:
    """Unknown options, impossible values and missing lists are named with what is allowed; nothing is published."""
    result = invoke(tmp_path, "train", *arguments)
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert "Traceback" not in result.output
    assert published(tmp_path) == []


def test_no_cuda_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--device cuda without such a device names the option that works."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = invoke(tmp_path, "train", "--device", "cuda")
    assert result.exit_code == 1
    assert result.output == "Error: --device is 'cuda', but torch sees no CUDA device here; use --device cpu.\n"


def test_a_store_that_refuses_keeps_the_training(tmp_path: Path, list_file: Path) -> None:
    """Where publishing fails the state stays, and --resume publishes what was trained without a step more."""
    given = ["train", "--data", str(list_file), "--name", "elves", *SMALL]
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "artifacts").write_text("in the way")
    broken = CliRunner(env={"NAMEWAVE_RUNS": str(tmp_path / "runs")})
    result = broken.invoke(main, [*given, "--store", str(tmp_path / "store" / "artifacts" / "deeper")])
    assert result.exit_code == 1, result.output
    assert "--resume" in result.output
    result = broken.invoke(main, [*given, "--resume", "--store", str(tmp_path / "other")])
    assert result.exit_code == 0, result.output
    assert not [line for line in result.output.splitlines() if line.startswith("step")]
    assert (tmp_path / "other" / "elves" / "wavenet" / "1" / "manifest.json").is_file()


def test_ctrl_c_keeps_the_store_and_a_state(tmp_path: Path, list_file: Path) -> None:
    """A real interrupt in the middle of a run: exit code 130, an untouched store, a state, and a hint that works."""
    given = ["train", "--data", str(list_file), "--name", "elves", *SMALL, "--store", str(tmp_path / "store")]
    endless = [sys.executable, "-m", "training", *given, "--steps", "100000000"]
    environment = {**os.environ, "NAMEWAVE_RUNS": str(tmp_path / "runs"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(endless, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        for line in run.stdout:  # the first progress line shows that training is under way
            if line.startswith(b"step"):
                break
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read().decode()
    assert run.returncode == 130
    assert "--resume goes on from here" in rest
    assert not (tmp_path / "store").exists()
    assert (tmp_path / "runs" / "elves-wavenet" / "state.json").is_file()
    again = CliRunner(env={"NAMEWAVE_RUNS": str(tmp_path / "runs")}).invoke(main, [*given])
    assert "An interrupted run" in again.output
    assert again.exit_code == 0, again.output


def test_without_torch_one_line_says_what_to_do(tmp_path: Path) -> None:
    """In a Python without the training set, `python -m training` names `make training` instead of a traceback."""
    script = (
        "import importlib.util as u, runpy; real = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a); "
        "runpy.run_module('training', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "Not installed here, but needed for training: torch. Run: make training\n"
