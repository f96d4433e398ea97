"""Shared by the training tests: a small configuration, corpus and trainer, the command line, and PNG checks."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from models import Draft, ModelConfig, ModelRegistry, NameGenerator, Vocabulary
from models.networks import Network
from training.cli import main
from training.config import TrainingConfig
from training.corpus import Corpus
from training.trainer import Step, Trainer, new_trainer

ROOT = Path(__file__).parents[2]
NAMES_TXT = ROOT.parent / "shared/bench/names.txt"
PNG = b"\x89PNG\r\n"
TINY = ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=12)
BIGRAM = ModelConfig(architecture="bigram", block_size=1)
# A plan of a small sweep, without what it sweeps.
SWEEP_HEAD = """
batch_size = 32
steps = 6
eval_every = 2
[model]
architecture = "wavenet"
block_size = 4
n_embd = 3
n_hidden = 8
[sweep]
"""
MakeTrainer = Callable[[TrainingConfig], Trainer]
NamesAndVocabulary = tuple[tuple[str, ...], Vocabulary]
GeneratorAndNetwork = tuple[NameGenerator, Network]


def invoke(*arguments: str | Path, **environment: str) -> Result:
    """Run `python -m training` in this process, 120 columns wide."""
    return CliRunner(env={"COLUMNS": "120", **environment}).invoke(main, [str(argument) for argument in arguments])


def run_cli(*arguments: str | Path, **environment: str) -> Result:
    """As `invoke`, for a command that succeeds."""
    result = invoke(*arguments, **environment)
    assert result.exit_code == 0, result.output
    return result


def interrupt(arguments: list[str], line: bytes, **environment: str) -> str:
    """Run a command in a process, send SIGINT after a line that starts with `line`, and return the rest it prints."""
    command = [sys.executable, "-m", "training", *arguments]
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        next(printed for printed in process.stdout if printed.startswith(line))
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().decode()
    assert process.returncode == 130, rest
    assert "--resume continues from here" in rest
    return rest


def figure_in(result: Result, label: str) -> float:
    """The number of the printed line "label: number"."""
    found = re.search(rf"^{re.escape(label)}: ([\d.e+-]+)$", result.output, re.MULTILINE)
    assert found is not None, result.output
    return float(found[1])


def png_of(draw: Callable[[], bytes]) -> bytes:
    """The PNG that `draw` returns, after a check that a second call returns the same bytes."""
    picture = draw()
    assert picture.startswith(PNG)
    assert 5_000 < len(picture) < 300_000
    assert draw() == picture
    return picture


def steps_of(total: int) -> list[Step]:
    """The steps of a made-up run, with a dev loss at every tenth."""
    return [Step(i, total, 3.0, 0.1, 2.5 if i % 10 == 0 else None) for i in range(1, total + 1)]


def equal_states(network: Network, other: Network) -> bool:
    """Whether two networks have bitwise equal arrays."""
    ours, theirs = network.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(array, theirs[name]) for name, array in ours.items())


@pytest.fixture
def list_file(tmp_path: Path, made_up_names: tuple[str, ...]) -> Path:
    """A list of 200 names, with blanks and capitals that do not matter."""
    path = tmp_path / "my_list.txt"
    path.write_text("".join(f" {name.title()}\n" for name in made_up_names[::5]), "utf-8")
    return path


@pytest.fixture
def blocked_folder(tmp_path: Path) -> Path:
    """A folder that cannot be made, because a file has the name of its parent."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "folder"


@pytest.fixture
def tiny_config() -> TrainingConfig:
    """A run of twelve steps over a small wavenet."""
    return TrainingConfig(model=TINY, batch_size=16, steps=12, eval_every=5, learning_rate=0.01, seed=3)


@pytest.fixture
def corpus(made_up_names: tuple[str, ...]) -> Corpus:
    """A corpus of 250 names with licence, source and notice."""
    return Corpus(
        dataset="elves",
        title="Elves of the tests",
        names=made_up_names[::4],
        sha256="ab" * 32,
        split_seed=42,
        licence="CC0-1.0",
        source="nobody",
        notice="Thanks to nobody.",
        description=("250 names",),
    )


@pytest.fixture
def elves(registry: ModelRegistry, elf_draft: Draft) -> ModelRegistry:
    """A registry with the elf draft as elves/wavenet@1."""
    registry.publish(elf_draft)
    return registry


@pytest.fixture
def elf_corpus(corpus: Corpus, elf_draft: Draft) -> Corpus:
    """The corpus as the list that the elf draft was trained on."""
    return replace(corpus, sha256=elf_draft.data.sha256)


@pytest.fixture
def make_trainer(corpus: Corpus) -> MakeTrainer:
    """A function from hyperparameters to a fresh trainer over the corpus."""
    return lambda config: new_trainer(config, corpus, torch.device("cpu"))


@pytest.fixture
def ten_names() -> NamesAndVocabulary:
    """Ten names of different lengths, and their alphabet."""
    names = ("emma", "liv", "noah", "bo", "kai", "ada", "theodora", "jo", "maximilian", "uma")
    return names, Vocabulary.of(names)
