"""Lessons: their pages, the command that checks their figures, and their claims about the models that ship."""

import itertools
import math
import os
import re
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tests.training.conftest import ROOT, invoke
from training.corpus import human_2018_corpus
from training.errors import Interrupted, TrainingError
from training.lessons import check
from training.lessons.check import (
    FOLDER,
    CommandResult,
    ExpectedMetric,
    environment,
    read_lesson,
    read_lessons,
    run_command,
)
from training.report import metric_line, parse_metrics

PAGE = """# The bigram

```sh
python -m training sample human/mlp@3 --prefix "van " --seed 1   # with a comment

python -m app generate
```

```text
dev loss: 9 +- 9
```

## Check yourself

```sh
python -m training bigram-picture --steps 10000
```

```figure
dev loss by counting, smoothing 1: 2.4715 +- 0.0002
names that differ: 0 +- 1
```
"""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
Arrays = dict[str, NDArray[np.float64]]


def page(folder: Path, text: str, name: str = "01-bigram.md") -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def lesson(folder: Path, name: str, command: str, figure: str) -> None:
    """Write a page with nothing but a check."""
    page(folder, f"# {name}\n\n## Check yourself\n\n```sh\n{command}\n```\n\n```figure\n{figure}\n```\n", name)


def test_page_yields_commands_and_expected_metrics(tmp_path: Path) -> None:
    read = read_lesson(page(tmp_path, PAGE))
    assert (read.number, read.title) == ("01", "The bigram")
    sample = ("python", "-m", "training", "sample", "human/mlp@3", "--prefix", "van ", "--seed", "1")
    assert read.commands == (sample, ("python", "-m", "app", "generate"), read.check)
    assert read.check == ("python", "-m", "training", "bigram-picture", "--steps", "10000")
    dev_loss = ExpectedMetric("dev loss by counting, smoothing 1", 2.4715, 0.0002)
    assert read.metrics == (dev_loss, ExpectedMetric("names that differ", 0.0, 1.0))


def test_lessons_are_numbered_pages_in_order(tmp_path: Path) -> None:
    for name in ("10-later.md", "01-bigram.md"):
        page(tmp_path, PAGE, name)
    page(tmp_path, "# Lessons", "README.md")
    assert [read.number for read in read_lessons(tmp_path)] == ["01", "10"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("python -m app generate", "rm -rf lists", "allowed in a block of language sh: one command a line"),
        (
            "2.4715 +- 0.0002",
            "2.4715",
            "has the line 'dev loss by counting, smoothing 1: 2.4715'; allowed: a line like",
        ),
        ("## Check yourself", "## Check", "has 0 commands and 0 blocks of figures"),
        ("```figure\n", "```figure\n```\n\n```text\n", "has no figure"),
        ("--steps 10000", "--steps 10000\npython -m app next", "has 2 commands and 1 blocks"),
    ],
)
def test_malformed_page_is_rejected_by_name(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in PAGE
    with pytest.raises(TrainingError, match=r"01-bigram\.md") as error:
        read_lesson(page(tmp_path, PAGE.replace(before, after)))
    assert words in str(error.value)


def test_folder_without_lessons_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"There are no lessons in .*; allowed: a folder with pages like"):
        read_lessons(tmp_path)


@pytest.mark.parametrize("printed", [2.4715, 2.4717, 2.4713, 2.4718, 2.4712, math.nan, None])
def test_metric_is_met_within_inclusive_tolerance(printed: float | None) -> None:
    assert ExpectedMetric("dev loss", 2.4715, 0.0002).is_met(printed) is (printed in (2.4715, 2.4717, 2.4713))


def test_printed_metrics_are_parsed_back() -> None:
    lines = [metric_line("dev loss", 9), "step 10/10  loss 2.1  dev 2.2", metric_line("dev loss", 2.45361)]
    lines += [metric_line("apart by at most", 3.81e-6, ".1e"), metric_line("names", 500, "d")]
    lines += [metric_line("broken", math.nan), "dev loss: 3.1 nats", 'entropy after "a: b" at 1: 0.5']
    found = parse_metrics("\n".join(lines))
    assert str(found.pop("broken")) == "nan"
    assert found == {"dev loss": 2.4536, "apart by at most": 3.8e-6, "names": 500, 'entropy after "a: b" at 1': 0.5}


def test_check_reports_missed_metrics_and_failed_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson(tmp_path, "02-good.md", "python -m training good", "parameters: 15230 +- 2")
    lesson(tmp_path, "03-wrong.md", "python -m training good", "parameters: 15229 +- 2\nbirds: 1 +- 1")
    lesson(tmp_path, "05-broken.md", "python -m training broken", "parameters: 15232 +- 1")
    outputs = {
        "good": CommandResult(0, "parameters: 15232\n"),
        "broken": CommandResult(1, "parameters: 15232\nError: no.\n"),
    }
    monkeypatch.setattr("training.lessons.check.run_command", lambda command, folder, on_line: outputs[command[3]])
    result = invoke("lessons", "--folder", tmp_path)
    assert result.exit_code == 1
    for words in (
        "ok     parameters: 15232, expected 15230 +- 2",
        "MISSED parameters: 15232, expected 15229 +- 2",
        "MISSED birds: nothing, expected 1 +- 1",
        "the command ended with status 1",
        "2 of 3 lessons did not print the expected numbers: 03, 05.",
        "--only 03 --only 05",
    ):
        assert words in result.output


def test_option_only_runs_the_command_of_one_lesson(tmp_path: Path) -> None:
    lesson(tmp_path, "02-good.md", "python -m app next --model mlp@3 --help", "parameters: 15232 +- 0")
    lesson(tmp_path, "03-other.md", "python -m training nothing", "parameters: 1 +- 0")
    result = invoke("lessons", "--folder", tmp_path, "--only", "2")
    assert result.exit_code == 1
    assert "   | Usage: python -m app next [OPTIONS]\n" in result.output
    assert "MISSED parameters: nothing, expected 15232 +- 0" in result.output
    assert "1 of 1 lessons did not print the expected numbers: 02." in result.output
    assert "nothing.\n" not in result.output
    assert "--only is '07'; allowed: 02, 03." in invoke("lessons", "--folder", tmp_path, "--only", "7").output


def test_command_environment_hides_stores_and_runs_of_user() -> None:
    outer = {"NAMEWAVE_STORE": "/mine", "NAMEWAVE_RUNS": "/runs", "NAMEWAVE_KERNELS": "/kernels", "PYTHONPATH": "/more"}
    seen = environment(outer)
    assert {name for name in seen if name.startswith("NAMEWAVE")} == {"NAMEWAVE_KERNELS"}
    assert seen["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/more"]


def test_command_runs_in_its_folder_with_packages_of_project(tmp_path: Path) -> None:
    heard: list[str] = []
    source = "import os, data; print(os.getcwd()); raise SystemExit(3)"
    assert run_command(("python", "-c", source), tmp_path, heard.append) == CommandResult(3, f"{tmp_path}\n")
    assert heard == [str(tmp_path)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_stop_signal_interrupts_the_running_command(tmp_path: Path, number: signal.Signals) -> None:
    source = """
import pathlib, threading
try:
    print("begun", flush=True)
    threading.Event().wait()
except KeyboardInterrupt:
    pathlib.Path("farewell").write_text("asked politely")
"""
    # Tests that run in the background ignore Ctrl-C, and so would the command.
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="Stopped; the results so far"):
            run_command(("python", "-c", source), tmp_path, lambda line: signal.raise_signal(number))
        assert (tmp_path / "farewell").read_text() == "asked politely"
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    finally:
        signal.signal(signal.SIGINT, deaf)


def test_command_that_ignores_interrupts_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SHUTDOWN_SECONDS", 0.1)
    source = """
import signal, threading
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("begun", flush=True)
threading.Event().wait()
"""
    with pytest.raises(Interrupted):
        run_command(("python", "-c", source), tmp_path, lambda line: signal.raise_signal(signal.SIGTERM))


@pytest.fixture(scope="module")
def mlp() -> Arrays:
    """The arrays of human/mlp@3, by name."""
    arrays = load_file(ROOT / "models" / "artifacts" / "human" / "mlp" / "3" / "model.safetensors")
    return {name: array.astype(np.float64) for name, array in arrays.items()}


def distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.square(points[:, None] - points[None]).sum(2))


def words_of(name: str) -> str:
    """The words of a lesson in one line."""
    return " ".join((FOLDER / name).read_text("utf-8").split())


def test_lesson_states_sum_of_output_biases(mlp: Arrays) -> None:
    """The sum is not zero, because AdamW trained the biases."""
    claim = r"biases of `human/mlp@3`, which AdamW trained from zero, add up to (-?[\d.]+)\."
    found = re.search(claim, words_of("04-backprop-by-hand.md"))
    assert found is not None
    assert mlp["output.bias"].sum() == pytest.approx(float(found[1]), abs=0.0005)


def test_lesson_states_nearest_letters_and_mean_distances(mlp: Arrays) -> None:
    text = words_of("02-mlp.md")
    E = mlp["embedding.weight"][1:]  # (26, C), without the end token
    apart = distances(E)  # (26, 26)
    nearest = {a: LETTERS[np.where(apart[i] > 0, apart[i], np.inf).argmin()] for i, a in enumerate(LETTERS)}
    pairs = re.findall(r"to `(\w)` it is `(\w)`|nearest to `(\w)` is `(\w)`", text)
    found = {first or third: second or fourth for first, second, third, fourth in pairs}
    assert set(found) == set("aeioy")
    assert all(nearest[a] == b for a, b in found.items())
    assert nearest["u"] == "x"
    to_end = np.sqrt(np.square(E - mlp["embedding.weight"][0]).sum(1))  # (26,)
    near_end = {a for a in "aeiouy" if to_end[LETTERS.index(a)] < np.sort(apart[LETTERS.index(a)])[1]}
    assert near_end == {"a", "e"}
    assert nearest["h"] != "v"
    assert nearest["v"] != "h"
    vowels = [LETTERS.index(a) for a in "aeiou"]
    among = np.mean([apart[pair] for pair in itertools.combinations(vowels, 2)])
    across = np.mean(np.delete(apart[vowels], vowels, axis=1))
    assert f"are {among:.2f} apart on average, a vowel and a consonant {across:.2f}." in text


def test_lesson_states_share_of_letter_groups_as_close(mlp: Arrays) -> None:
    apart = distances(mlp["embedding.weight"][1:])
    groups = np.array(list(itertools.combinations(range(26), 5)))  # (65780, 5)
    within = apart[groups[:, :, None], groups[:, None, :]].sum((1, 2))
    vowels = within[(groups == [LETTERS.index(a) for a in "aeiou"]).all(1)][0]
    share = np.mean(within <= vowels * (1 + 1e-12))
    claim = f"Of all {len(groups):,} groups of five letters, {share:.1%} are as close"
    assert claim in words_of("02-mlp.md").replace(" %", "%")


def test_plane_of_embedding_has_stated_neighbours_and_spread(mlp: Arrays) -> None:
    centred = mlp["embedding.weight"] - mlp["embedding.weight"].mean(0)
    _, spreads, directions = np.linalg.svd(centred, full_matrices=False)
    assert np.square(spreads[:2]).sum() / np.square(spreads).sum() == pytest.approx(0.30, abs=0.006)
    apart = distances(centred @ directions[:2].T)  # (27, 27)
    np.fill_diagonal(apart, np.inf)
    nearest = {a: f".{LETTERS}"[apart[i].argmin()] for i, a in enumerate(f".{LETTERS}")}
    assert [nearest[a] for a in "aehv"] == ["r", "l", "v", "h"]


def test_lesson_states_pairs_unseen_in_training() -> None:
    split = human_2018_corpus(42).split
    seen = {pair for name in split.train for pair in pairwise(f".{name}.")}
    unseen = {name: {"".join(pair) for pair in {*pairwise(f".{name}.")} - seen} for name in split.dev}
    found = {name: pairs for name, pairs in unseen.items() if pairs}
    assert found == {"yaqoob": {"qo"}, "yaqoub": {"qo"}, "fitzgerald": {"zg"}}
    assert "`qo` (in `yaqoob` and in `yaqoub`) and `zg` (in `fitzgerald`)" in words_of("01-bigram.md")


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (1.0, "its output {}. With gain 1 the spreads after the next three layers are {}, {} and {}: each layer is"),
        (5 / 3, "With 5/3 the spreads are {}, {}, {}, {}, and they settle at {}:"),
    ],
)
def test_lesson_states_spreads_after_tanh_layers(gain: float, words: str) -> None:
    """The spreads are integrals over a normal variable."""
    z = np.linspace(-9, 9, 20_001)
    density = np.exp(-np.square(z) / 2)
    density /= density.sum()
    spreads, spread = [], 1.0
    for _ in range(40):
        spread = float(np.sqrt((np.square(np.tanh(gain * spread * z)) * density).sum()))
        spreads.append(spread)
    assert spreads == sorted(spreads, reverse=True), "each narrower than the one before"
    shown = [f"{spread:.2f}" for spread in (*spreads[:4], spreads[-1])]
    assert words.format(*shown) in words_of("03-initialisation-and-batchnorm.md")
