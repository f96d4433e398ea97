"""The lab's JavaScript network in a real browser equals torch layers with the same weights."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from torch import Tensor

from models.networks.layers import BatchNorm1d, Embedding, FlattenConsecutive, Linear, ReLU, Sequential, Tanh
from tests.harness.service import ROOT

V, T, C, H, B = 27, 3, 10, 30, 16
FLAT, RATE = 0.97, 0.3
ALPHABET = ".abcdefghijklmnopqrstuvwxyz"

# `lab`: all that the modules export, and `plain`, which copies a value with lists for its typed arrays.
IMPORT = """async () => {
  const listed = (key, value) => (value instanceof Float64Array ? [...value] : value);
  const plain = (value) => JSON.parse(JSON.stringify(value, listed));
  window.lab = { ...(await import("/lab/page/network.js")), ...(await import("/lab/page/figures.js")), plain };
}"""
TRAINING_STEP = """([shape, parameters, X, Y, rate]) => {
  const entries = Object.entries(parameters).map(([name, values]) => [name, Float64Array.from(values)]);
  const network = { shape, arrays: Object.fromEntries(entries) };
  const trace = lab.forward(network, X, Y);
  const gradients = lab.backward(network, trace);
  const before = lab.plain({ trace, gradients, figures: lab.statistics(network, trace, gradients, rate) });
  lab.descend(network, gradients, rate);
  return { ...before, after: lab.plain(network.arrays), lossAfter: lab.forward(network, X, Y).loss };
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Return a page of the lab with its modules imported as `lab`."""
    with browser.new_page() as opened:
        opened.goto(f"{address}/lab")
        opened.evaluate(IMPORT)
        yield opened


class TorchNetwork:
    """The same network of torch layers, in training mode, with random parameters and a random batch."""

    def __init__(self, activation: str, norm: bool, depth: int) -> None:
        generator = torch.Generator().manual_seed(depth)
        named: list[Any] = [("embedding", Embedding(V, C, generator)), ("join", FlattenConsecutive(T))]
        for i in range(depth):
            named.append((f"linear{i}", Linear(C * T if i == 0 else H, H, generator, gain=1.6, bias=not norm)))
            if norm:
                named.append((f"norm{i}", BatchNorm1d(H)))
            named.append((f"activation{i}", Tanh() if activation == "tanh" else ReLU()))
        named.append(("output", Linear(H, V, generator, gain=0.7)))
        self.layers = Sequential(named)
        # No parameter is 0 or 1 by accident.
        with torch.no_grad():
            for parameter in self.layers.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        self.parameters = {
            f"{name}.{key}": array
            for name, layer in self.layers.layers.items()
            for key, array in layer.arrays().items()
            if array.requires_grad
        }
        self.X = torch.randint(0, V, (B, T), generator=generator)
        self.Y = torch.randint(0, V, (B,), generator=generator)

    def forward(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the loss, the logits and the outputs of the hidden layers, all of which retain gradients."""
        x, outputs = self.X, []
        for name, layer in self.layers.layers.items():
            x = layer(x)
            if name.startswith("activation"):
                x.retain_grad()
                outputs.append(x)
        x.retain_grad()
        return torch.nn.functional.cross_entropy(x, self.Y), x, outputs


def assert_close(actual: object, expected: Tensor) -> None:
    np.testing.assert_allclose(np.array(actual, float), expected.detach().flatten().numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_training_step_and_figures_equal_torch(page: Page, activation: str, norm: bool, depth: int) -> None:
    network = TorchNetwork(activation, norm, depth)
    parameters = {name: array.detach().flatten().tolist() for name, array in network.parameters.items()}
    shape = {"vocabSize": V, "blockSize": T, "nEmbd": C, "nHidden": H, "depth": depth}
    shape |= {"activation": activation, "norm": norm}
    actual = page.evaluate(TRAINING_STEP, [shape, parameters, network.X.flatten().tolist(), network.Y.tolist(), RATE])
    loss, logits, outputs = network.forward()
    loss.backward()
    trace, gradients, figures = actual["trace"], actual["gradients"], actual["figures"]
    assert figures["loss"] == pytest.approx(loss.item(), abs=1e-4)
    assert_close(trace["logits"], logits)
    assert_close(gradients["logits"], logits.grad)
    assert set(gradients["arrays"]) == set(network.parameters)
    for name, parameter in network.parameters.items():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-4, name
        assert_close(gradients["arrays"][name], parameter.grad)
        assert_close(actual["after"][name], parameter - RATE * parameter.grad)
    assert len(trace["layers"]) == len(outputs) == len(figures["layers"]) == depth
    for i, (layer, output) in enumerate(zip(figures["layers"], outputs, strict=True)):
        assert_close(trace["layers"][i]["output"], output)
        assert_close(gradients["outputs"][i], output.grad)
        flat = output.abs() > FLAT if activation == "tanh" else output == 0
        assert layer["saturated"] == pytest.approx(flat.float().mean().item(), abs=1e-4)
        assert layer["dead"] == pytest.approx(flat.all(0).float().mean().item(), abs=1e-4)
        for key, tensor in (("output", output), ("gradient", output.grad)):
            assert layer[key]["mean"] == pytest.approx(tensor.mean().item(), abs=1e-4)
            assert layer[key]["deviation"] == pytest.approx(tensor.std().item(), abs=1e-4)
    weights = [network.parameters[name] for name in (*(f"linear{i}.weight" for i in range(depth)), "output.weight")]
    ratios = [float(RATE * weight.grad.std() / weight.detach().std()) for weight in weights]
    assert figures["ratios"] == pytest.approx(ratios, abs=1e-4, rel=1e-4)
    with torch.no_grad():
        for parameter in network.parameters.values():
            parameter -= RATE * parameter.grad
    assert actual["lossAfter"] == pytest.approx(network.forward()[0].item(), abs=1e-4)


def mulberry32(seed: int) -> Iterator[float]:
    """Yield the numbers of the generator as its author writes it, on 32-bit words."""
    words, state = 0xFFFFFFFF, seed
    while True:
        state = (state + 0x6D2B79F5) & words
        t = ((state ^ (state >> 15)) * (state | 1)) & words
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & words)) & words
        yield ((t ^ (t >> 14)) & words) / 2**32


def test_random_numbers_are_mulberry32_and_box_muller(page: Page) -> None:
    uniform = page.evaluate("n => Array.from({ length: n }, lab.uniform(42))", 2000)
    assert uniform == list(itertools.islice(mulberry32(42), 2000))
    assert np.mean(uniform) == pytest.approx(0.5, abs=0.02)
    normal = page.evaluate("n => [...lab.normal(n, 2, lab.uniform(7))]", 2000)
    stream = mulberry32(7)
    pairs = [(next(stream), next(stream)) for _ in range(2000)]
    expected = [2 * math.sqrt(-2 * math.log(1 - a)) * math.cos(2 * math.pi * b) for a, b in pairs]
    assert normal == pytest.approx(expected, abs=1e-9)
    assert np.std(normal) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_initialisation_is_kaiming_and_reproducible(page: Page, norm: bool) -> None:
    """Weights have the deviation gain / sqrt(fan_in), and the embedding 1."""
    build = """norm => {
      const shape = { vocabSize: 27, blockSize: 3, nEmbd: 10, nHidden: 100, depth: 3, activation: "tanh", norm };
      return lab.plain(lab.build(shape, { gain: 5 / 3, lastGain: 0.1 }, lab.uniform(1)).arrays);
    }"""
    arrays = page.evaluate(build, norm)
    assert page.evaluate(build, norm) == arrays
    spreads = {"embedding.weight": 1.0, "output.weight": 0.1 / 10} | {
        f"linear{i}.weight": 5 / 3 / fan_in**0.5 for i, fan_in in enumerate((30, 100, 100))
    }
    for name, deviation in spreads.items():
        assert np.std(arrays.pop(name)) == pytest.approx(deviation, rel=0.15), name
    vectors = ("norm{}.gamma", "norm{}.beta") if norm else ("linear{}.bias",)
    assert set(arrays) == {vector.format(i) for i in range(3) for vector in vectors} | {"output.bias"}
    for name, values in arrays.items():
        assert set(values) == {1.0 if name.endswith("gamma") else 0.0}, name


def examples(found: dict[str, list[int]]) -> list[tuple[str, str]]:
    contexts = ["".join(ALPHABET[k] for k in found["X"][i : i + T]) for i in range(0, len(found["X"]), T)]
    return list(zip(contexts, (ALPHABET[k] for k in found["Y"]), strict=True))


def test_batches_are_drawn_from_all_windows_of_the_names(page: Page) -> None:
    names = (ROOT / "app/static/lab/names.txt").read_text("utf-8").split()
    padded = [f"...{name}." for name in names]
    expected = [(name[i : i + T], name[i + T]) for name in padded for i in range(len(name) - T)]
    assert examples(page.evaluate("names => lab.windows(names, 3)", names)) == expected
    drawn = set(examples(page.evaluate("names => lab.batch(lab.windows(names, 3), 500, lab.uniform(3))", names)))
    assert drawn <= set(expected)
    assert len(drawn) > 200


def test_histogram_clips_to_its_edges_and_ignores_nan(page: Page) -> None:
    values = [-3.0, -1.0, -0.75, -0.01, 0.0, 0.24, 0.25, 0.99, 1.0, 7.0]
    expected, _ = np.histogram(np.clip(values, -1, 1), bins=8, range=(-1, 1))
    assert page.evaluate("values => [...lab.histogram([...values, NaN], -1, 1, 8)]", values) == expected.tolist()
