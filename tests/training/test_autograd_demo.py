"""The demonstration of the scalar engine: its moons, its loss, its pictures, and the figure that it prints."""

import io
import math
import re
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from matplotlib.image import imread

from models.autograd.engine import Value
from models.autograd.nn import MLP
from training.cli import main
from training.scalar.border import border_plot, scores_at
from training.scalar.classifier import DECAY, examine, learn, margin_loss
from training.scalar.moons import moons

FILES = ("border.png", "neuron.dot", "neuron.svg")


def run(folder: Path, *arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["autograd-demo", "--out", str(folder), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    """Run short: progress, a loss that falls, an accuracy, a picture, and a neuron as DOT and SVG."""
    output = run(tmp_path / "demo", "--steps", "12")
    assert "100 points, 105 parameters, 12 steps" in output
    losses = [float(x) for x in re.findall(r"^step +\d+  loss ([\d.]+)  accuracy [\d.]+%$", output, re.MULTILINE)]
    assert len(losses) == 7
    assert losses[-1] < 0.6 * losses[0]
    found = re.search(r"^accuracy ([\d.]+)%  loss ([\d.]+)$", output, re.MULTILINE)
    assert found
    assert float(found[1]) > 75
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == sorted(FILES)
    assert (tmp_path / "demo/border.png").read_bytes().startswith(b"\x89PNG")
    dot, svg = ((tmp_path / "demo" / name).read_text("utf-8") for name in FILES[1:])
    assert "digraph" in dot
    ElementTree.fromstring(svg)
    for label in ("w1", "x2", "tanh", "| grad 1 }"):
        assert label in dot


def test_a_seed_is_a_run(tmp_path: Path) -> None:
    """The same seed prints the same and writes the same bytes; another one does not."""
    told = [
        run(tmp_path / "a", "--steps", "3", "--seed", "7"),
        run(tmp_path / "b", "--steps", "3", "--seed", "7"),
        run(tmp_path / "c", "--steps", "3", "--seed", "8"),
    ]
    figures = [re.findall(r"loss [\d.]+|accuracy [\d.]+%", text) for text in told]
    assert figures[0] == figures[1] != figures[2]
    for name in FILES:
        a, b, c = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert a == b != c


def test_impossible_options_are_refused(tmp_path: Path) -> None:
    """No steps, and a folder that cannot be written, end in a line that helps."""
    wrong = CliRunner().invoke(main, ["autograd-demo", "--steps", "0"])
    assert (wrong.exit_code, "1<=x<=100000" in wrong.output) == (2, True)
    (tmp_path / "file").write_text("in the way")
    wrong = CliRunner().invoke(main, ["autograd-demo", "--steps", "1", "--out", str(tmp_path / "file" / "below")])
    assert wrong.exit_code == 1
    assert "Name another folder" in wrong.output


def test_the_loss_is_torchs_and_learning_is_descent() -> None:
    """Hinge loss and decay are those computed by torch, and their gradients; learning brings the loss down."""
    random = Random(3)
    points, network = moons(20, random), MLP(2, [4, 1], random)
    scores = [network([p.x, p.y])[0] for p in points]
    loss = margin_loss(scores, points, network.parameters())
    loss.backward()
    s = torch.tensor([score.data for score in scores], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([p.label for p in points], dtype=torch.float64)
    squares = sum(p.data**2 for p in network.parameters())
    expected = torch.relu(1 - labels * s).mean()
    expected.backward()
    assert loss.data == pytest.approx(expected.item() + DECAY * squares, abs=1e-12)
    assert [score.grad for score in scores] == pytest.approx(s.grad.tolist(), abs=1e-12)
    before = examine(network, points)[0]
    losses = [now.loss for now in learn(network, points, 25)]
    assert losses[0] == pytest.approx(before, abs=1e-12)
    assert examine(network, points)[0] < 0.5 * before


def test_moons_are_two_half_circles() -> None:
    """Without noise each point lies on its half circle, the classes take turns, and no straight line parts them."""
    points = moons(200, Random(1), noise=0)
    assert [p.label for p in points] == [-1, 1] * 100
    for p in points:
        centre = (0.0, 0.0) if p.label == -1 else (1.0, 0.5)
        assert math.dist((p.x, p.y), centre) == pytest.approx(1)
        assert (p.y - centre[1]) * p.label <= 1e-12
    X = np.array([[p.x, p.y, 1] for p in points])
    y = np.array([p.label for p in points])
    w = np.linalg.lstsq(X, y, rcond=None)[0]
    assert 0.8 < np.mean((X @ w > 0) == (y > 0)) < 1


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_picture_shows_the_networks_own_scores(activation) -> None:  # type: ignore[no-untyped-def]
    """What is drawn, computed in arrays, is what the network of scalars answers place by place; the picture has the
    colours of both sides.
    """
    random = Random(4)
    network, points = MLP(2, [5, 3, 1], random, activation), moons(30, random)
    places = np.array([[p.x, p.y] for p in points])
    own = [network([Value(x), Value(y)])[0].data for x, y in places]
    assert scores_at(network, places) == pytest.approx(own, abs=1e-12)
    pixels = imread(io.BytesIO(border_plot(network, points, "title")))[..., :3].reshape(-1, 3)
    for colour in ("#d1603d", "#1f6f8b", "#1d2430"):
        wanted = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        assert (np.abs(pixels - wanted).max(axis=1) < 0.02).sum() > 50
