"""Diagnostics: figures against NumPy and finite differences, the bad start beside the good one, and the pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models import Draft, ModelConfig, ModelRegistry
from models.networks import Network, build_model
from tests.training.conftest import BIGRAM, PNG, MakeTrainer
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples, Rows
from training.diagnostics.diagnose import DiagnosedModel, bad_title, diagnose, load_diagnosed, write
from training.diagnostics.plots import EXPLANATIONS, loss_limits
from training.diagnostics.statistics import (
    TrainingCurve,
    break_init,
    distribution,
    first_batch,
    named_matrices,
    principal_plane,
    record_training,
    saturation,
    snapshot,
)
from training.errors import TrainingError
from training.evaluation import cross_entropy, mean_loss

CONFIGS = {
    "mlp": ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=8, n_layers=2),
    "relu": ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=8, activation="relu"),
    "gated_wavenet": ModelConfig(architecture="gated_wavenet", block_size=4, n_embd=4, n_hidden=6),
    "lstm": ModelConfig(architecture="lstm", block_size=64, n_embd=4, n_hidden=6, n_layers=2),
    "bigram": BIGRAM,
}
Fresh = Callable[[str], Network]


@pytest.fixture
def rows(corpus: Corpus) -> Rows:
    """A batch of forty names."""
    return first_batch(Examples.of(corpus.names, corpus.vocabulary), 40, 1)


@pytest.fixture
def fresh(corpus: Corpus) -> Fresh:
    """A function from the name of a configuration to a fresh network, always the same."""
    return lambda name: build_model(CONFIGS[name], len(corpus.vocabulary), torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("layer", "outputs", "share"),
    [
        ("activation0", [-1.0, -0.98, -0.5, 0.0, 0.96, 0.99], 3 / 6),
        ("blocks.0.sigmoid", [0.0, 0.01, 0.25, 0.5, 0.98, 0.995], 3 / 6),
        ("activation1", [0.0, 0.0, 0.5, 2.0], 2 / 4),
    ],
    ids=["tanh", "sigmoid", "relu"],
)
def test_saturation_is_share_of_outputs_at_the_ends(layer: str, outputs: list[float], share: float) -> None:
    assert saturation(layer, torch.tensor(outputs)) == pytest.approx(share)


def test_distribution_equals_numpy_histogram() -> None:
    x = torch.randn(5000, generator=torch.Generator().manual_seed(0)).clamp(-0.999, 0.999)
    ours, values = distribution("activation0", x, 0.25), x.double().numpy()
    density, edges = np.histogram(values, bins=60, range=(values.min(), values.max()), density=True)
    np.testing.assert_allclose(ours.edges, edges, atol=1e-6)
    np.testing.assert_allclose(ours.counts, density, atol=0.02)
    assert (ours.mean, ours.std) == pytest.approx((values.mean(), values.std(ddof=1)))


def test_gradient_distribution_equals_finite_differences(fresh: Fresh, rows: Rows) -> None:
    network = fresh("mlp")
    network.state_dict()["output.weight"].mul_(10)
    ours = next(g for g in snapshot(network, rows).gradients if g.name == "activation1")
    outputs: dict[str, torch.Tensor] = {}
    network.train()
    network.names(rows.ids, rows.positions, lambda name, x: outputs.update({name: x.detach().double()}))
    weight, bias = (array.detach().double() for array in network.layers.layers["output"].arrays().values())

    def loss(h: torch.Tensor) -> torch.Tensor:
        return cross_entropy(h @ weight + bias, rows.targets).mean()

    h, eps = outputs["activation1"].requires_grad_(), 1e-5
    exact = torch.autograd.grad(loss(h), h)[0]
    numeric = torch.zeros_like(h[:20])
    with torch.no_grad():
        for place in np.ndindex(*numeric.shape):
            step = torch.zeros_like(h)
            step[place] = eps
            numeric[place] = (loss(h + step) - loss(h - step)) / (2 * eps)
    torch.testing.assert_close(numeric, exact[:20], atol=1e-8, rtol=1e-4)
    assert ours.std == pytest.approx(float(exact.std()), rel=1e-3)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_bad_start_has_higher_loss_and_saturation(name: str, fresh: Fresh, rows: Rows, corpus: Corpus) -> None:
    good, bad = fresh(name), fresh(name)
    break_init(bad)
    assert bad.state_dict().keys() == good.state_dict().keys()
    one, other = snapshot(good, rows), snapshot(bad, rows)
    assert one.loss == pytest.approx(np.log(len(corpus.vocabulary)), abs=0.1)
    assert other.loss > one.loss + 0.1
    if name not in ("bigram", "relu"):
        good_share, bad_share = (max(a.share or 0 for a in shot.activations) for shot in (one, other))
        assert bad_share > good_share + 0.2


def test_update_ratio_is_std_of_change_over_std_of_matrix(make_trainer: MakeTrainer) -> None:
    config = TrainingConfig(model=CONFIGS["lstm"], steps=6, batch_size=32, eval_every=3)
    curve = record_training(make_trainer(config), lambda step: None)
    again = make_trainer(config)
    matrices = named_matrices(again.network)
    expected: dict[str, list[float]] = {name: [] for name in matrices}
    steps = again.fit()
    for _ in range(6):
        before = {name: matrix.detach().clone() for name, matrix in matrices.items()}
        next(steps)
        for name, matrix in matrices.items():
            expected[name].append(float((matrix.detach() - before[name]).std() / before[name].std()))
    assert curve.ratios == expected
    assert curve.losses == again.history.losses
    assert [step for step, _ in curve.dev] == [3, 6]


@pytest.mark.parametrize("end", [2.5, 40.0])
def test_huge_first_loss_does_not_flatten_the_good_run(end: float) -> None:
    """The good run fills half of the logarithmic height where the bad one ends near it."""
    good = TrainingCurve([3.3, 2.5, 2.2], [(3, 2.1)], {})
    low, top = loss_limits([good, TrainingCurve([103.0, 60.0, end], [(3, end + 0.1)], {})])
    assert low < 2.1
    assert max(3.3, end + 0.1) < top
    if end < 3.3:
        assert np.log(3.3 / 2.1) > np.log(top / low) / 2
    assert (low, top) == loss_limits([good, TrainingCurve([9000.0, 60.0, end], [(3, end + 0.1)], {})])


def test_projection_keeps_distances_of_points_in_a_plane() -> None:
    points = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).double()
    basis = torch.linalg.qr(torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).double())[0]
    flat, share = principal_plane(points @ basis.T + 3)
    assert share == pytest.approx(1)
    torch.testing.assert_close(torch.cdist(flat, flat), torch.cdist(points, points))


def test_lstm_gates_equal_those_of_a_numpy_loop(fresh: Fresh, rows: Rows) -> None:
    """The outputs of a layer are products and have no saturated share."""
    network = fresh("lstm")
    network.state_dict()["lstm0.input"].mul_(8)
    weights = {name: array.double().numpy() for name, array in network.state_dict().items()}
    H = CONFIGS["lstm"].n_hidden
    sigmoids, tanhs = [], []
    for row, position in zip(rows.ids.tolist(), rows.positions.tolist(), strict=True):
        if position == 0:
            h = c = np.zeros(H)
        x = weights["embedding.weight"][row]
        z = x @ weights["lstm0.input"] + h @ weights["lstm0.hidden"] + weights["lstm0.bias"]
        i, f, o = (1 / (1 + np.exp(-z[k * H : (k + 1) * H])) for k in (0, 1, 3))
        g = np.tanh(z[2 * H : 3 * H])
        c = f * c + i * g
        h = o * np.tanh(c)
        sigmoids.append([i, f, o])
        tanhs.append(g)
    shown = {a.name: a for a in snapshot(network, rows).activations}
    assert shown.keys() == {f"lstm{i}{part}" for i in (0, 1) for part in ("", ".sigmoid", ".tanh")}
    for name, values, flat in (
        ("lstm0.sigmoid", np.array(sigmoids), lambda v: (v < 0.015) | (v > 0.985)),
        ("lstm0.tanh", np.array(tanhs), lambda v: abs(v) > 0.97),
    ):
        assert shown[name].mean == pytest.approx(values.mean(), abs=1e-5)
        assert shown[name].std == pytest.approx(values.std(), abs=1e-3)
        assert shown[name].share == pytest.approx(flat(values).mean(), abs=1e-3)
        assert flat(values).mean() > 0.01
    assert shown["lstm0"].share is None


def test_title_of_bad_start_names_batchnorm_only_if_present(fresh: Fresh) -> None:
    assert {name for name in CONFIGS if "no BatchNorm" in bad_title(fresh(name))} == {"mlp", "relu", "gated_wavenet"}


def test_page_names_most_saturated_gate_of_the_bad_start(fresh: Fresh, corpus: Corpus) -> None:
    config = TrainingConfig(model=CONFIGS["lstm"], batch_size=32)
    page = diagnose(DiagnosedModel("elves/lstm@1", config, corpus, fresh("lstm")), 8, lambda step: None)
    rows = [line.split(" | ") for line in page["README.md"].decode().splitlines() if line.startswith("| a bad")]
    assert rows[0][0] == "| a bad start: weights x 6, the last x 60"
    assert rows[0][3].startswith(("lstm0.", "lstm1."))
    assert 'at both starts before their first step; a panel labelled "trained"' in EXPLANATIONS["activations.png"]


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_architecture_has_small_explained_pictures(name: str, corpus: Corpus) -> None:
    config = TrainingConfig(model=CONFIGS[name], batch_size=32)
    files = diagnose(DiagnosedModel(f"preset {name}", config, corpus), 8, lambda step: None)
    shown = {"activations.png", "gradients.png"} if name != "bigram" else set()
    assert files.keys() == {"weights.png", "updates.png", "losses.png", "embedding.png", "README.md"} | shown
    page = files.pop("README.md").decode()
    for file, content in files.items():
        assert content.startswith(PNG)
        assert len(content) <= 300_000
        assert f"]({file})" in page


def test_version_is_diagnosed_with_its_own_weights(elves: ModelRegistry, elf_draft: Draft, corpus: Corpus) -> None:
    diagnosed = load_diagnosed("elves/wavenet", "human", elves)
    assert diagnosed.network is not None
    dev = Examples.of(diagnosed.corpus.split.dev, diagnosed.corpus.vocabulary)
    original = build_model(elf_draft.config, len(corpus.vocabulary), torch.Generator())
    original.load_arrays(elf_draft.arrays)
    assert mean_loss(diagnosed.network, dev) == pytest.approx(mean_loss(original, dev))


def test_unknown_reference_is_an_error(registry: ModelRegistry) -> None:
    with pytest.raises(TrainingError, match="neither a preset nor a version"):
        load_diagnosed("wavent", "human", registry)


def test_plots_are_not_written_into_a_store(registry: ModelRegistry, tmp_path: Path) -> None:
    for folder in (tmp_path / "user/elves", tmp_path / "shipped/human/new"):
        with pytest.raises(TrainingError, match="published versions never change"):
            write({"a.png": b""}, folder, registry)
    write({"a.png": b"x"}, tmp_path / "pictures/deep", registry)
    assert (tmp_path / "pictures/deep/a.png").read_bytes() == b"x"
