"""The demonstration of the scalar engine: moons, loss, pictures, and the command `autograd-demo`."""

import io
import math
import re
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from models.autograd.engine import Value
from models.autograd.nn import MLP
from tests.training.conftest import PNG, run_cli
from training.lessons.autograd_demo import DECAY, decision_boundary_plot, evaluate, margin_loss, moons, scores_at, train

FILES = ("border.png", "neuron.dot", "neuron.svg")


def run(folder: Path, *arguments: str) -> str:
    return run_cli("autograd-demo", "--out", folder, *arguments).output


def test_command_prints_progress_and_writes_pictures(tmp_path: Path) -> None:
    output = run(tmp_path / "demo", "--steps", "12")
    assert "100 points, 105 parameters, 12 steps" in output
    losses = [float(x) for x in re.findall(r"^step +\d+  loss ([\d.]+)  accuracy [\d.]+%$", output, re.MULTILINE)]
    assert len(losses) == 7
    assert losses[-1] < 0.6 * losses[0]
    found = re.search(r"^accuracy ([\d.]+)%  loss ([\d.]+)$", output, re.MULTILINE)
    assert found
    assert float(found[1]) > 75
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == sorted(FILES)
    assert (tmp_path / "demo/border.png").read_bytes().startswith(PNG)
    dot, svg = ((tmp_path / "demo" / name).read_text("utf-8") for name in FILES[1:])
    assert "digraph" in dot
    ElementTree.fromstring(svg)
    for label in ("w1", "x2", "tanh", "| grad 1 }"):
        assert label in dot


def test_same_seed_gives_same_output_and_files(tmp_path: Path) -> None:
    seeds = {"a": "7", "b": "7", "c": "8"}
    outputs = [run(tmp_path / folder, "--steps", "3", "--seed", seed) for folder, seed in seeds.items()]
    printed_metrics = [re.findall(r"loss [\d.]+|accuracy [\d.]+%", text) for text in outputs]
    assert printed_metrics[0] == printed_metrics[1] != printed_metrics[2]
    for name in FILES:
        a, b, c = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert a == b != c


def test_loss_and_gradients_equal_those_of_torch() -> None:
    """The loss is the mean hinge loss plus weight decay."""
    points, network = moons(20, Random(3)), MLP(2, [4, 1], Random(3))
    scores = [network([p.x, p.y])[0] for p in points]
    loss = margin_loss(scores, points, network.parameters())
    loss.backward()
    s = torch.tensor([score.data for score in scores], dtype=torch.float64, requires_grad=True)
    hinge = torch.relu(1 - torch.tensor([p.label for p in points], dtype=torch.float64) * s).mean()
    hinge.backward()
    squares = sum(p.data**2 for p in network.parameters())
    assert loss.data == pytest.approx(hinge.item() + DECAY * squares, abs=1e-12)
    assert [score.grad for score in scores] == pytest.approx(s.grad.tolist(), abs=1e-12)


def test_learning_reduces_the_loss() -> None:
    random = Random(3)
    points, network = moons(20, random), MLP(2, [4, 1], random)
    before = evaluate(network, points)[0]
    losses = [now.loss for now in train(network, points, 25)]
    assert losses[0] == pytest.approx(before, abs=1e-12)
    assert evaluate(network, points)[0] < 0.5 * before


def test_moons_are_half_circles_that_no_line_separates() -> None:
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
def test_plot_shows_scores_of_the_network(activation) -> None:  # type: ignore[no-untyped-def]
    random = Random(4)
    network, points = MLP(2, [5, 3, 1], random, activation), moons(30, random)
    places = np.array([[p.x, p.y] for p in points])
    own = [network([Value(x), Value(y)])[0].data for x, y in places]
    assert scores_at(network, places) == pytest.approx(own, abs=1e-12)
    pixels = imread(io.BytesIO(decision_boundary_plot(network, points, "title")))[..., :3].reshape(-1, 3)
    for colour in ("#d1603d", "#1f6f8b", "#1d2430"):
        assert (np.abs(pixels - to_rgb(colour)).max(axis=1) < 0.02).sum() > 50
