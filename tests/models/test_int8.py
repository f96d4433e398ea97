"""Model format 2: the compiled integer kernels give what a plain-Python form gives, on every processor level."""

import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import models
from data import split_names
from models import CheckpointError, Kernels, ModelConfig
from models.kernel.int8.distribution import ALL_SHARES, POWERS, share_limit
from models.kernel.int8.lstm import BLOCK
from models.kernel.int8.matmul import AT_ONCE, RUN, in_pairs
from models.kernel.int8.model import grouped, int8_model, largest_multiplier
from models.store.checkpoint import load_checkpoint
from tests.models import int8_oracle as oracle
from tests.models.int8_kernels import (
    as_arrays,
    cells,
    compiled_logits,
    compiled_names,
    compiled_sums,
    digests,
    multiplied,
)
from tests.models.int8_oracle import EXCLUDED, Arrays, Options, formula_model
from training.errors import TrainingError
from training.quantization import mean_loss, quantize, quantized_matrix

ROOT = Path(models.__file__).parents[1]
ARTIFACTS = ROOT / "models" / "artifacts"
LOWEST, HIGHEST = -(2**15), 2**15 - 1
CONFIG = ModelConfig(architecture="lstm", block_size=64, n_hidden=8)

pytestmark = pytest.mark.usefixtures("kernels")  # sets the processor level before anything is compiled


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    """The test vectors of the specification."""
    found: dict[str, Any] = json.loads(oracle.VECTORS.read_text())
    return found


def test_oracle_makes_the_test_vectors(vectors: dict[str, Any]) -> None:
    assert json.loads(json.dumps(oracle.vectors())) == vectors


def test_compiled_logits_are_those_of_the_test_vectors(vectors: dict[str, Any]) -> None:
    for case in vectors["logits"]:
        found = compiled_logits(vectors["model"], np.array([case["symbols"]]), tuple(case["styles"]))
        assert found[0].tolist() == case["logits"]


def test_compiled_names_are_those_of_the_test_vectors(vectors: dict[str, Any]) -> None:
    for case in vectors["names"]:
        options = Options(**{k: tuple(v) if isinstance(v, list) else v for k, v in case["options"].items()})
        assert compiled_names(vectors["model"], case["seed"], len(case["names"]), options) == case["names"]


def test_names_of_another_level_are_the_same(kernels: Kernels) -> None:
    if kernels.level == "generic":
        pytest.skip("this processor has one level")
    command = [sys.executable, "-m", "tests.models.int8_kernels", "generic"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert found.split() == digests()


@pytest.mark.parametrize(
    ("values", "form", "digest"),
    [
        (oracle.sigmoid, "h", "3ecd39b57101c90c43d5bd8431d509899581190e6fbd8237cfabe335daab28b1"),
        (oracle.tanh, "h", "183700d2cfe16a062b5d4e678b7d9fcaadf8b0671c0fb5c91504320d67ec5e72"),
        (oracle.power, "i", "699bda3e518ebd66676df1cc116f6c04c18fbf0abdeb8c3890e62c01ff445ca4"),
    ],
)
def test_tables_have_the_digests_of_the_specification(values: Any, form: str, digest: str) -> None:
    places = range(1024) if values is oracle.power else range(LOWEST, HIGHEST + 1)
    content = struct.pack(f"<{len(places)}{form}", *map(values, places))
    assert hashlib.sha256(content).hexdigest() == digest


def test_powers_in_floats_are_those_in_decimals() -> None:
    assert POWERS.tolist() == oracle.POWERS


def test_activations_are_near_the_exact_ones() -> None:
    x = np.arange(LOWEST, HIGHEST + 1)
    exact = 1 / (1 + np.exp(-x / 2**11))
    assert np.abs(np.array([oracle.sigmoid(v) for v in x.tolist()]) / 2**15 - exact).max() < 2.5e-4
    assert np.abs(np.array([oracle.tanh(v) for v in x.tolist()]) / 2**15 - np.tanh(x / 2**11)).max() < 5e-4


@pytest.mark.parametrize("before", [0, 20_001, -9, HIGHEST, LOWEST])
def test_cells_are_exact_for_every_pre_activation(before: int) -> None:
    """All four gates of a unit have the same pre-activation, and all 2^16 of them come up."""
    x = np.arange(LOWEST, HIGHEST + 1)
    n = len(x)
    table = grouped(np.tile(x, 4).astype(np.int16))
    zeros, cell = np.zeros(4 * n, np.int32), np.full(n, before, np.int16)
    cell_out, hidden_out = np.empty(n, np.int16), np.empty(n, np.int16)
    cells(zeros, zeros, 1, table, np.zeros(4 * n, np.int16), cell, cell_out, hidden_out)
    expected = []
    for v in x.tolist():
        s, g = oracle.sigmoid(v), oracle.tanh(v)
        expected.append(oracle.saturated(oracle.product(s, before) + oracle.product(oracle.product(s, g), 2**11)))
    hidden = [
        oracle.product(oracle.product(oracle.sigmoid(v), oracle.tanh(c)), 127)
        for v, c in zip(x.tolist(), expected, strict=True)
    ]
    assert cell_out.tolist() == expected
    assert hidden_out.tolist() == hidden
    assert np.abs(hidden_out).max() <= 127


@pytest.mark.parametrize(("H", "V", "rows"), [(1, 2, ()), (16, 32, (0,)), (24, 37, (0, 1))])
def test_compiled_logits_equal_the_oracle(H: int, V: int, rows: tuple[int, ...]) -> None:
    model = formula_model(H, V, 2, salt=H)
    ids = np.random.default_rng(H).integers(0, V, (7, 6))
    expected = [oracle.prefix_logits(model, row, rows) for row in ids.tolist()]
    assert compiled_logits(model, ids, rows).tolist() == expected


def saturating_model() -> Arrays:
    """A model whose pre-activations, cells and logits all reach their limits."""
    model = formula_model(8, 3, 2)
    most = largest_multiplier(8, 1)
    sign = [1, -1, 1, 1, -1, 1, 1, 1]
    model["table"] = [[HIGHEST] * 16 + [v * HIGHEST for v in sign] + [HIGHEST] * 8 for _ in range(3)]
    model["recurrent.weight"] = [[sign[k] * 127] * 32 for k in range(8)]
    model["recurrent.multiplier"], model["recurrent.shift"] = [most] * 32, [1]
    model["output.weight"] = [[127 * sign[k], -127 * sign[k], 1] for k in range(8)]
    model["output.multiplier"], model["output.shift"] = [most] * 3, [1]
    model["output.bias"] = [2**24, -(2**24), 5]
    model["styles"] = [[HIGHEST] * 32, [LOWEST] * 32]
    return model


@pytest.mark.parametrize("rows", [(), (0,), (1,), (0, 0), (1, 1)])
def test_saturated_numbers_equal_the_oracle(rows: tuple[int, ...]) -> None:
    model, ids = saturating_model(), [0, 1, 2] * 8
    logits = compiled_logits(model, np.array([ids]), rows)[0]
    assert logits.tolist() == oracle.prefix_logits(model, ids, rows)
    assert logits.max() == HIGHEST
    assert logits.min() == LOWEST


@settings(max_examples=60)
@given(st.integers(0, 11), st.integers(0, 9), st.integers(1, 2), st.integers(0, 2**32 - 1), st.booleans())
def test_integer_product_is_exact(n: int, quads: int, runs: int, seed: int, extreme: bool) -> None:
    random, n_in = np.random.default_rng(seed), quads * AT_ONCE
    least = 127 if extreme else -127
    x = random.integers(least, 128, (n + 2, n_in + 3)).astype(np.int16)
    matrix = random.integers(least, 128, (n_in, runs * RUN)).astype(np.int8)
    weights = np.concatenate([np.ones(5, np.int8), in_pairs(matrix)])
    out = np.full((n + 2, runs * RUN + 7), -9, np.int32)
    for run in range(runs):
        multiplied(x, n_in, n, weights, 5 + run * RUN * n_in, out, run * RUN)
    exact = x[:n, :n_in].astype(np.int64) @ matrix.astype(np.int64)
    assert (out[:n, : runs * RUN] == exact).all()
    assert (out[n:] == -9).all()
    assert (out[:, runs * RUN :] == -9).all()


LOGITS = st.lists(st.integers(LOWEST, HIGHEST) | st.integers(-4, 4) | st.just(EXCLUDED), min_size=2, max_size=40)
TOP_P = st.none() | st.floats(0, 1, exclude_min=True)


@settings(max_examples=400)
@given(LOGITS, st.integers(0, 1), st.floats(0.05, 5), st.none() | st.integers(1, 45), TOP_P)
@example([HIGHEST, LOWEST], 0, 0.05, None, None)
@example([HIGHEST, LOWEST], 1, 5.0, None, None)
@example([EXCLUDED, EXCLUDED], 0, 1.0, None, None)
@example([5, EXCLUDED, EXCLUDED], 1, 1.0, 2, 0.5)
@example([0, 0, 0, 0], 0, 1.0, 3, 0.5)
@example([0, 3, EXCLUDED, 3], 0, 1.0, 4, 1e-9)
def test_sums_of_weights_equal_the_oracle(
    logits: list[int], first: int, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    expected = oracle.cumulative(logits, first, temperature, top_k, top_p)
    assert compiled_sums(logits, first, temperature, top_k, top_p) == expected


@pytest.mark.parametrize(
    ("outcomes", "most"), [(1023, 1023 * 2**21), (1024, 2**30), (2047, 2047 * 2**20), (4096, 2**30)]
)
def test_sum_of_many_weights_fits_31_bits(outcomes: int, most: int) -> None:
    sums = compiled_sums([0] * outcomes, 0, 1.0, None, None)
    assert sums == oracle.cumulative([0] * outcomes, 0, 1.0, None, None)
    assert sums[-1] == most < 2**31
    assert compiled_sums([0] * 4096, 0, 1.0, None, 0.5)[-1] == 2**29


def test_weights_are_near_the_softmax() -> None:
    logits = np.random.default_rng(3).integers(-6000, 6000, 27)
    shares = np.diff(compiled_sums(logits.tolist(), 0, 0.9, None, None), prepend=0).astype(float)
    exact = np.exp(logits / 1024 / 0.9)
    assert np.abs(shares / shares.sum() - exact / exact.sum()).max() < 1e-3


def test_share_limit_keeps_an_outcome_and_all() -> None:
    assert share_limit(1e-12) == 1
    assert share_limit(1.0) == share_limit(None) == ALL_SHARES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output.bias": np.zeros(4, np.int32)}, "table must be int16"),
        ({"table": np.zeros((5, 32), np.int32)}, "table must be int16"),
        ({"extra": np.zeros(1, np.int8)}, "extra missing or unknown"),
        ({"recurrent.shift": np.zeros(1, np.int32)}, "recurrent.shift must be from 1"),
        ({"output.multiplier": np.full(5, 2**20, np.int32)}, "output.multiplier must be from 0"),
        ({"output.weight": np.full((8, 5), -128, np.int8)}, "output.weight must be from -127"),
        ({"output.bias": np.full(5, 2**25, np.int32)}, "output.bias must be from"),
    ],
)
def test_unsound_arrays_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    arrays = as_arrays(formula_model(8, 5, 2))
    assert int8_model(CONFIG, arrays)
    with pytest.raises(CheckpointError, match=message):
        int8_model(CONFIG, {**arrays, **change})


def test_only_an_lstm_of_one_layer_is_quantised() -> None:
    with pytest.raises(TrainingError, match="one layer"):
        quantize(ModelConfig(architecture="lstm", block_size=64, n_layers=2), {})


def test_weights_are_rounded_to_the_nearest_step() -> None:
    weights = np.random.default_rng(1).normal(size=(128, 40)) * np.geomspace(1e-3, 3, 40)
    weights[:, 7] = 0
    matrix, multiplier, shift = quantized_matrix(weights, 11)
    steps = 127 * multiplier / 2.0 ** (11 + shift[0])
    assert multiplier.max() <= largest_multiplier(128, int(shift[0]))
    assert (np.abs(matrix * steps - weights) <= steps / 2 + 1e-12).all()
    with pytest.raises(TrainingError, match="too large"):
        quantized_matrix(np.full((128, 2), 1e9), 11)


@pytest.mark.parametrize(("dataset", "float_loss"), [("human", 1.9608761795970815), ("animal", 2.0531730425482766)])
def test_quantised_student_loses_less_than_two_thousandths(dataset: str, float_loss: float) -> None:
    checkpoint = load_checkpoint(ARTIFACTS / dataset / "lstm" / "4")
    manifest = checkpoint.manifest
    assert manifest.metrics["dev"] == float_loss
    names = split_names(checkpoint.names, manifest.data.split_seed).dev
    loss = mean_loss(manifest.config, quantize(manifest.config, checkpoint.arrays), names, manifest.alphabet)
    assert abs(loss - float_loss) < 0.002


def test_rows_of_a_full_block_do_not_depend_on_each_other() -> None:
    model = formula_model(16, 4, 1)
    ids = np.random.default_rng(2).integers(0, 4, (BLOCK, 3))
    each = [compiled_logits(model, row[None])[0].tolist() for row in ids]
    assert compiled_logits(model, ids).tolist() == each
