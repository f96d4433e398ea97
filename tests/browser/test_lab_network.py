"""The lab's network in a real browser, held against the project's torch layers: the same weights and batch on both
sides.
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from torch import Tensor

from models.networks.layers import BatchNorm1d, Embedding, FlattenConsecutive, Linear, ReLU, Sequential, Tanh

V, T, C, H, B = 27, 3, 10, 30, 16
FLAT = 0.97
RATE = 0.3
NAMES = Path(__file__).parents[2] / "app/static/lab/names.txt"

PASS = """async ([shape, plain, X, Y, rate]) => {
  const { forward, backward, descend } = await import("/lab/page/network.js");
  const { look } = await import("/lab/page/figures.js");
  const arrays = Object.fromEntries(Object.entries(plain).map(([name, values]) => [name, Float64Array.from(values)]));
  const network = { shape, arrays };
  const trace = forward(network, X, Y);
  const gradients = backward(network, trace);
  const seen = look(network, trace, gradients, rate);
  descend(network, gradients, rate);
  const told = (found) => Object.fromEntries(Object.entries(found).map(([name, values]) => [name, [...values]]));
  return {
    seen, logits: [...trace.logits], outputs: trace.layers.map(({ output }) => [...output]),
    gradients: told(gradients.arrays), outputGradients: gradients.outputs.map((values) => [...values]),
    logitGradients: [...gradients.logits], after: told(arrays), lossAfter: forward(network, X, Y).loss,
  };
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of the lab's own origin."""
    opened = browser.new_page()
    opened.goto(f"{address}/lab")
    yield opened
    opened.close()


class Twin:
    """The same network of torch layers, in training mode, over random weights."""

    def __init__(self, activation: str, norm: bool, depth: int, gain: float) -> None:
        generator = torch.Generator().manual_seed(depth)
        named: list[Any] = [("embedding", Embedding(V, C, generator)), ("join", FlattenConsecutive(T))]
        for i in range(depth):
            named.append((f"linear{i}", Linear(C * T if i == 0 else H, H, generator, gain=gain, bias=not norm)))
            if norm:
                named.append((f"norm{i}", BatchNorm1d(H)))
            named.append((f"activation{i}", Tanh() if activation == "tanh" else ReLU()))
        named.append(("output", Linear(H, V, generator, gain=0.7)))
        self.layers, self.depth = Sequential(named), depth
        # Nothing may pass for being 0 or 1 by accident.
        for parameter in self.layers.parameters():
            with torch.no_grad():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        self.parameters = {
            f"{name}.{key}": array
            for name, layer in self.layers.layers.items()
            for key, array in layer.arrays().items()
            if array.requires_grad
        }
        self.X = torch.randint(0, V, (B, T), generator=generator)
        self.Y = torch.randint(0, V, (B,), generator=generator)

    def plain(self) -> dict[str, list[float]]:
        """All parameters, flat."""
        return {name: array.detach().flatten().tolist() for name, array in self.parameters.items()}

    def forward(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The loss, the logits and every hidden layer's output, whose gradients are kept."""
        x, outputs = self.X, []
        for name, layer in self.layers.layers.items():
            x = layer(x)
            if name.startswith("activation"):
                x.retain_grad()
                outputs.append(x)
        x.retain_grad()
        return torch.nn.functional.cross_entropy(x, self.Y), x, outputs


def close(got: object, expected: Tensor) -> None:
    """Hold numbers of the browser against a tensor, to 1e-4."""
    np.testing.assert_allclose(np.array(got, float), expected.detach().flatten().numpy(), atol=1e-4, rtol=1e-4)


def ratio(weight: Tensor, rate: float) -> float:
    """The ratio of an update to what it changes."""
    assert weight.grad is not None
    return float(rate * weight.grad.std() / weight.detach().std())


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_network_is_torchs(page: Page, activation: str, norm: bool, depth: int) -> None:
    """Loss, logits, activations, every gradient, shares, spreads, ratios and one step's outcome are those of the
    project's torch layers, to 1e-4.
    """
    twin = Twin(activation, norm, depth, gain=1.6)
    shape = {"vocabSize": V, "blockSize": T, "nEmbd": C, "nHidden": H, "depth": depth}
    shape |= {"activation": activation, "norm": norm}
    before = twin.plain()
    told = page.evaluate(PASS, [shape, before, twin.X.flatten().tolist(), twin.Y.tolist(), RATE])
    loss, logits, outputs = twin.forward()
    loss.backward()
    assert told["seen"]["loss"] == pytest.approx(loss.item(), abs=1e-4)
    close(told["logits"], logits)
    close(told["logitGradients"], logits.grad)
    assert set(told["gradients"]) == set(twin.parameters)
    for name, parameter in twin.parameters.items():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-4, name
        close(told["gradients"][name], parameter.grad)
        close(told["after"][name], parameter - RATE * parameter.grad)
    assert len(told["outputs"]) == len(outputs) == len(told["seen"]["layers"]) == depth
    for i, (layer, output) in enumerate(zip(told["seen"]["layers"], outputs, strict=True)):
        close(told["outputs"][i], output)
        close(told["outputGradients"][i], output.grad)
        flat = output.abs() > FLAT if activation == "tanh" else output == 0
        assert layer["saturated"] == pytest.approx(flat.float().mean().item(), abs=1e-4)
        assert layer["dead"] == pytest.approx(flat.all(0).float().mean().item(), abs=1e-4)
        for key, tensor in (("output", output), ("gradient", output.grad)):
            assert layer[key]["mean"] == pytest.approx(tensor.mean().item(), abs=1e-4)
            assert layer[key]["deviation"] == pytest.approx(tensor.std().item(), abs=1e-4)
    weights = [*(f"linear{i}.weight" for i in range(depth)), "output.weight"]
    expected = [ratio(twin.parameters[name], RATE) for name in weights]
    assert told["seen"]["ratios"] == pytest.approx(expected, abs=1e-4, rel=1e-4)
    with torch.no_grad():
        for parameter in twin.parameters.values():
            parameter -= RATE * parameter.grad
    assert told["lossAfter"] == pytest.approx(twin.forward()[0].item(), abs=1e-4)


def mulberry32(seed: int) -> Iterator[float]:
    """The generator as its author writes it, on 32-bit words."""
    words, state = 0xFFFFFFFF, seed
    while True:
        state = (state + 0x6D2B79F5) & words
        t = ((state ^ (state >> 15)) * (state | 1)) & words
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & words)) & words
        yield ((t ^ (t >> 14)) & words) / 2**32


def test_random_numbers_are_the_same_everywhere(page: Page) -> None:
    """A seed's numbers are mulberry32's, normal ones Box and Muller's of them, with the spread that was asked for."""
    script = """async (n) => {
      const { uniform, normal } = await import("/lab/page/network.js");
      const random = uniform(42);
      return [Array.from({ length: n }, random), [...normal(n, 2, uniform(7))]];
    }"""
    plain, bell = page.evaluate(script, 2000)
    assert plain == list(itertools.islice(mulberry32(42), 2000))
    stream = mulberry32(7)
    pairs = [(next(stream), next(stream)) for _ in range(2000)]
    expected = [2 * math.sqrt(-2 * math.log(1 - a)) * math.cos(2 * math.pi * b) for a, b in pairs]
    assert bell == pytest.approx(expected, abs=1e-9)
    assert np.std(bell) == pytest.approx(2, rel=0.05)
    assert np.mean(plain) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_weights_start_as_kaiming_wants(page: Page, norm: bool) -> None:
    """Weights have the deviation gain / sqrt(fan_in), the logits' their own gain, the embedding 1; vectors are 0,
    gammas 1; and the same seed gives the same network.
    """
    script = """async (norm) => {
      const { build, uniform } = await import("/lab/page/network.js");
      const shape = { vocabSize: 27, blockSize: 3, nEmbd: 10, nHidden: 100, depth: 3, activation: "tanh", norm };
      const made = () => build(shape, { gain: 5 / 3, lastGain: 0.1 }, uniform(1)).arrays;
      const told = Object.fromEntries(Object.entries(made()).map(([name, values]) => [name, [...values]]));
      const again = Object.entries(made());
      return [told, again.every(([name, values]) => values.every((value, k) => value === told[name][k]))];
    }"""
    arrays, same = page.evaluate(script, norm)
    assert same
    spreads = {"embedding.weight": 1.0, "output.weight": 0.1 / 10} | {
        f"linear{i}.weight": 5 / 3 / fan_in**0.5 for i, fan_in in enumerate((30, 100, 100))
    }
    for name, deviation in spreads.items():
        assert np.std(arrays.pop(name)) == pytest.approx(deviation, rel=0.15), name
    vectors = ("gamma", "beta") if norm else ("bias",)
    places = {f"{'norm' if norm else 'linear'}{i}.{key}" for i in range(3) for key in vectors}
    assert set(arrays) == places | {"output.bias"}
    for name, values in arrays.items():
        assert set(values) == {1.0 if name.endswith("gamma") else 0.0}, name


def test_windows_are_those_of_the_names(page: Page) -> None:
    """The examples are every window of three characters of the names and what comes next, and batches are drawn from
    them alone.
    """
    names = NAMES.read_text("utf-8").split()
    script = """async (names) => {
      const { windows, batch } = await import("/lab/page/figures.js");
      const { uniform } = await import("/lab/page/network.js");
      const all = windows(names, 3);
      return [all, batch(all, 500, uniform(3))];
    }"""
    every, drawn = page.evaluate(script, names)
    alphabet = ".abcdefghijklmnopqrstuvwxyz"
    expected = []
    for name in names:
        padded = "..." + name + "."
        expected += [(padded[i : i + 3], padded[i + 3]) for i in range(len(name) + 1)]

    def read(found: dict[str, list[int]]) -> list[tuple[str, str]]:
        texts = ["".join(alphabet[k] for k in found["X"][i : i + 3]) for i in range(0, len(found["X"]), 3)]
        return list(zip(texts, (alphabet[k] for k in found["Y"]), strict=True))

    assert read(every) == expected
    assert set(read(drawn)) <= set(expected)
    assert len(set(read(drawn))) > 200


def test_histograms_count_every_value_once(page: Page) -> None:
    """Bins are half open, what lies outside counts at the edges, and what is no number nowhere."""
    script = """async (values) => {
      const { histogram } = await import("/lab/page/figures.js");
      return [...histogram([...values, NaN], -1, 1, 8)];
    }"""
    values = [-3.0, -1.0, -0.75, -0.01, 0.0, 0.24, 0.25, 0.99, 1.0, 7.0]
    expected, _ = np.histogram(np.clip(values, -1, 1), bins=8, range=(-1, 1))
    assert page.evaluate(script, values) == expected.tolist()
