"""`python -m training backprop-check` on a small list: what it prints, draws and refuses."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from training import backprop, backprop_race
from training.cli import main


@pytest.fixture
def list_file(tmp_path: Path, made_up_names: tuple[str, ...]) -> Path:
    """A list of 200 names."""
    path = tmp_path / "my_list.txt"
    path.write_text("\n".join(made_up_names[::5]), "utf-8")
    return path


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, ["backprop-check", *arguments])


def figure(result: Result, what: str) -> float:
    """The number of the line "what: number"."""
    found = re.search(rf"^{re.escape(what)}: ([\d.e+-]+)$", result.output, re.MULTILINE)
    assert found is not None, result.output
    return float(found[1])


@pytest.mark.parametrize(("architecture", "gradients"), [("mlp", 33), ("wavenet", 47)])
def test_it_prints_every_gradient_and_both_losses(
    tmp_path: Path, list_file: Path, architecture: str, gradients: int
) -> None:
    """The table has a row for each tensor, all agree, both losses are the same and the picture is drawn."""
    out = tmp_path / "backprop.png"
    given = ("--data", str(list_file), "--architecture", architecture, "--steps", "12", "--out", str(out))
    result = invoke(*given)
    assert result.exit_code == 0, result.output
    for words in (
        "exact",
        "approximate",
        "largest",
        "linear0.weight",
        "norm0.gamma",
        "x_hat",
        "log_probs",
        "step 12/12",
    ):
        assert words in result.output
    table = [line for line in result.output.splitlines() if re.search(r"│ +(yes|no) │ +(yes|no) │", line)]
    assert len(table) == gradients == figure(result, "gradients compared") == figure(result, "gradients that agree")
    assert figure(result, "dev loss by hand") == figure(result, "dev loss by autograd")
    assert figure(result, "difference of the dev losses") < 1e-12
    assert out.read_bytes().startswith(b"\x89PNG\r\n")


def test_single_precision_agrees_less(list_file: Path) -> None:
    """With single precision the gradients agree to its rounding, which is larger than that of double."""
    single, double = (invoke("--data", str(list_file), "--steps", "5", "--precision", p) for p in ("single", "double"))
    assert single.exit_code == double.exit_code == 0, single.output
    what = "largest difference of a gradient"
    assert 1e-10 < figure(single, what) < 1e-5
    assert figure(double, what) < 1e-14


def test_a_wrong_gradient_ends_with_an_error(list_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one wrong rule the status is not zero, and the line names the gradient and the file; nothing is trained."""
    monkeypatch.setattr(backprop, "tanh_backward", lambda y, dy: dy * (1 - y))
    result = invoke("--data", str(list_file), "--steps", "5")
    assert result.exit_code == 1
    assert "norm0 (outputs of layers)" in result.stderr
    assert "training/backprop.py" in result.stderr
    assert "dev loss" not in result.output


def test_two_trainings_that_differ_end_with_an_error(list_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the training by hand ends elsewhere than autograd's, the status is not zero and the line says how far."""
    monkeypatch.setattr(backprop_race.HandTrainer, "_pull", lambda self, parameter: 0.1 * parameter)
    result = invoke("--data", str(list_file), "--steps", "30")
    assert result.exit_code == 1
    assert "apart in dev loss; rounding alone allows 1e-06" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--steps", "0"], 2, "--steps"),
        (["--architecture", "lstm"], 2, "--architecture"),
        (["--precision", "half"], 2, "--precision"),
        (["--out", "picture.jpg"], 1, "ends in .png"),
        (["--data", "nowhere.txt"], 1, "nowhere.txt is no file"),
    ],
)
def test_mistakes_are_named(arguments: list[str], code: int, words: str) -> None:
    """Impossible options end in a line with what is allowed."""
    result = invoke(*arguments)
    assert result.exit_code == code
    assert words in result.output
