"""Diagnostics: the numbers against numpy and finite differences, the bad start is bad, the pictures are small files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from models import Draft, ModelConfig, ModelRegistry
from models.networks import Network, build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples, Rows
from training.errors import TrainingError
from training.evaluation import mean_loss
from training.inside.diagnose import Patient, bad_title, command, diagnose, patient_of, write
from training.inside.diagnostics import (
    Course,
    first_batch,
    follow,
    named_matrices,
    plane,
    saturation,
    snapshot,
    spoil,
    spread,
)
from training.inside.explanations import EXPLANATIONS
from training.inside.pictures import loss_limits
from training.loss import surprise
from training.trainer import Trainer

CONFIGS = {
    "mlp": ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=8, n_layers=2),
    "relu": ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=8, activation="relu"),
    "gated_wavenet": ModelConfig(architecture="gated_wavenet", block_size=4, n_embd=4, n_hidden=6),
    "lstm": ModelConfig(architecture="lstm", block_size=64, n_embd=4, n_hidden=6, n_layers=2),
    "bigram": ModelConfig(architecture="bigram", block_size=1),
}


@pytest.fixture
def rows(corpus: Corpus) -> Rows:
    """A batch of forty names."""
    return first_batch(Examples.of(corpus.names, corpus.vocabulary), 40, 1)


def fresh(config: ModelConfig, corpus: Corpus, seed: int = 1) -> Network:
    return build_model(config, len(corpus.vocabulary), torch.Generator().manual_seed(seed))


def test_saturation_is_the_share_at_the_ends() -> None:
    """A tanh is saturated beyond 0.97, a sigmoid as near to 0 or 1, a relu at 0."""
    tanh = torch.tensor([-1.0, -0.98, -0.5, 0.0, 0.96, 0.99])
    assert saturation("activation0", tanh) == pytest.approx(3 / 6)
    assert saturation("blocks.0.sigmoid", (tanh + 1) / 2) == pytest.approx(3 / 6)
    assert saturation("activation1", torch.tensor([0.0, 0.0, 0.5, 2.0])) == pytest.approx(2 / 4)


def test_a_spread_is_numpys_histogram() -> None:
    """Mean, standard deviation and density are numpy's over the same range."""
    x = torch.randn(5000, generator=torch.Generator().manual_seed(0)).clamp(-0.999, 0.999)
    ours = spread("activation0", x, 0.25)
    values = x.double().numpy()
    density, edges = np.histogram(values, bins=60, range=(values.min(), values.max()), density=True)
    np.testing.assert_allclose(ours.edges, edges, atol=1e-6)
    np.testing.assert_allclose(ours.counts, density, atol=0.02)
    assert (ours.mean, ours.std) == pytest.approx((values.mean(), values.std(ddof=1)))


def test_the_gradient_of_an_activation_is_that_of_finite_differences(corpus: Corpus, rows: Rows) -> None:
    """The spread of the gradients at the last bent layer is what moving each output a little does to the loss."""
    network = fresh(CONFIGS["mlp"], corpus)
    network.state_dict()["output.weight"].mul_(10)
    ours = next(g for g in snapshot(network, rows).gradients if g.name == "activation1")
    outputs: dict[str, torch.Tensor] = {}
    network.train()
    network.names(rows.ids, rows.positions, lambda name, x: outputs.update({name: x.detach().double()}))
    output = network.layers.layers["output"]
    weight, bias = (array.detach().double() for array in output.arrays().values())

    def loss(h: torch.Tensor) -> float:
        return float(surprise(h @ weight + bias, rows.targets).mean())

    h, eps = outputs["activation1"], 1e-5
    numeric = torch.zeros_like(h[:20])
    for i in range(20):
        for j in range(h.shape[1]):
            up, down = h.clone(), h.clone()
            up[i, j] += eps
            down[i, j] -= eps
            numeric[i, j] = (loss(up) - loss(down)) / (2 * eps)
    h_grad = h.clone().requires_grad_()
    exact = torch.autograd.grad(surprise(h_grad @ weight + bias, rows.targets).mean(), h_grad)[0]
    torch.testing.assert_close(numeric, exact[:20], atol=1e-8, rtol=1e-4)
    assert ours.std == pytest.approx(float(exact.std()), rel=1e-3)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_a_bad_start_is_bad(config: ModelConfig, corpus: Corpus, rows: Rows) -> None:
    """Its first loss lies above the good start's, which is a uniform guess, and its layers are more saturated; the
    names of its arrays stay.
    """
    good, bad = fresh(config, corpus), fresh(config, corpus)
    spoil(bad)
    assert bad.state_dict().keys() == good.state_dict().keys()
    one, other = snapshot(good, rows), snapshot(bad, rows)
    assert one.loss == pytest.approx(np.log(len(corpus.vocabulary)), abs=0.1)
    assert other.loss > one.loss + 0.1
    if config.architecture != "bigram" and config.activation == "tanh":
        good_share, bad_share = (max(a.share or 0 for a in shot.activations) for shot in (one, other))
        assert bad_share > good_share + 0.2


def test_update_ratios_are_those_of_the_weights(corpus: Corpus) -> None:
    """At each step the ratio is the spread of the change over the spread of the matrix before it, and the run itself
    is the same as without anyone looking.
    """
    config = TrainingConfig(model=CONFIGS["lstm"], steps=6, batch_size=32, eval_every=3)
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))

    def trainer() -> Trainer:
        generator = torch.Generator().manual_seed(1)
        return Trainer(build_model(config.model, len(corpus.vocabulary), generator), config, train, dev, generator)

    course = follow(trainer(), lambda step: None)
    again = trainer()
    matrices = named_matrices(again.network)
    expected: dict[str, list[float]] = {name: [] for name in matrices}
    steps = again.fit()
    for _ in range(6):
        before = {name: matrix.detach().clone() for name, matrix in matrices.items()}
        next(steps)
        for name, matrix in matrices.items():
            expected[name].append(float((matrix.detach() - before[name]).std() / before[name].std()))
    assert course.ratios == expected
    assert course.losses == again.history.losses
    assert [step for step, _ in course.dev] == [3, 6]


@pytest.mark.parametrize("end", [2.5, 40.0])
def test_a_huge_first_loss_does_not_flatten_the_good_run(end: float) -> None:
    """However high the bad run begins, the good one is whole in the picture and fills half of its logarithmic height
    where the bad one ends near it; and the end of the bad one is always in it.
    """
    good = Course([3.3, 2.5, 2.2], [(3, 2.1)], {})
    low, top = loss_limits([good, Course([103.0, 60.0, end], [(3, end + 0.1)], {})])
    assert low < 2.1
    assert max(3.3, end + 0.1) < top
    if end < 3.3:
        assert np.log(3.3 / 2.1) > np.log(top / low) / 2
    assert (low, top) == loss_limits([good, Course([9000.0, 60.0, end], [(3, end + 0.1)], {})])


def test_the_plane_holds_the_spread_it_says() -> None:
    """Points that lie in a plane keep their distances, and the plane holds all of their spread."""
    points = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).double()
    basis = torch.linalg.qr(torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).double())[0]
    flat, share = plane(points @ basis.T + 3)
    assert share == pytest.approx(1)
    torch.testing.assert_close(torch.cdist(flat, flat), torch.cdist(points, points))


def test_the_gates_of_an_lstm_are_those_of_a_loop(corpus: Corpus, rows: Rows) -> None:
    """Name by name and position by position in numpy, the gates have the mean, spread and saturation that are shown; a
    share of its outputs, which are products, is not.
    """
    network = fresh(CONFIGS["lstm"], corpus)
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


def test_what_is_said_of_the_starts_is_true(corpus: Corpus) -> None:
    """Only of a network with a BatchNorm it is said that the bad start has none; the gates of an lstm are in the table;
    a trained network is never called one before its first step.
    """
    with_norm = {name for name, config in CONFIGS.items() if "no BatchNorm" in bad_title(fresh(config, corpus))}
    assert with_norm == {"mlp", "relu", "gated_wavenet"}
    config = TrainingConfig(model=CONFIGS["lstm"], batch_size=32)
    page = diagnose(Patient("elves/lstm@1", config, corpus, fresh(CONFIGS["lstm"], corpus)), 8, lambda step: None)
    rows = [line.split(" | ") for line in page["README.md"].decode().splitlines() if line.startswith("| a bad")]
    assert rows[0][0] == "| a bad start: weights x 6, the last x 60"
    assert rows[0][3].startswith(("lstm0.", "lstm1."))
    assert "at both starts before their first step; a panel that says trained" in EXPLANATIONS["activations.png"]


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_architecture_has_its_pictures(name: str, corpus: Corpus) -> None:
    """Pictures are PNG files of at most 300 kB, all shown and explained on the page; a bigram bends nothing."""
    config = TrainingConfig(model=CONFIGS[name], batch_size=32)
    files = diagnose(Patient(f"preset {name}", config, corpus), 8, lambda step: None)
    shown = {"activations.png", "gradients.png"} if name != "bigram" else set()
    assert files.keys() == {"weights.png", "updates.png", "losses.png", "embedding.png", "README.md"} | shown
    page = files.pop("README.md").decode()
    for file, content in files.items():
        assert content.startswith(b"\x89PNG")
        assert len(content) <= 300_000
        assert f"]({file})" in page


def test_a_version_is_seen_as_it_was_trained(
    registry: ModelRegistry, elf_draft: Draft, tmp_path: Path, corpus: Corpus
) -> None:
    """Of a version its own weights are looked at; nothing may be written into a store, and an unknown name is refused
    with what is allowed.
    """
    registry.publish(elf_draft)
    patient = patient_of("elves/wavenet", "human", registry)
    assert patient.network is not None
    dev = Examples.of(patient.corpus.split.dev, patient.corpus.vocabulary)
    original = fresh(elf_draft.config, corpus)
    original.load_arrays(elf_draft.arrays)
    assert mean_loss(patient.network, dev) == pytest.approx(mean_loss(original, dev))
    for folder in (tmp_path / "user/elves", tmp_path / "shipped/human/new"):
        with pytest.raises(TrainingError, match="published versions never change"):
            write({"a.png": b""}, folder, registry)
    write({"a.png": b"x"}, tmp_path / "pictures/deep", registry)
    assert (tmp_path / "pictures/deep/a.png").read_bytes() == b"x"
    with pytest.raises(TrainingError, match="neither a preset nor a version"):
        patient_of("wavent", "human", registry)


def test_a_folder_that_cannot_be_made_is_noticed_before_the_work(tmp_path: Path) -> None:
    """Where a file is in the way of --output, one line says so and not a step is made."""
    (tmp_path / "file").write_text("in the way")
    given = ["bigram-gradient", "--dataset", "animal", "--steps", "10", "--store", str(tmp_path / "store")]
    result = CliRunner().invoke(command, [*given, "--output", str(tmp_path / "file" / "out")])
    assert isinstance(result.exception, TrainingError)
    assert "nothing can be written: Not a directory. Name another folder." in str(result.exception)
    assert "step" not in result.output
