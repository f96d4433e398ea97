"""The models that ship: whole, ready, in order of quality, and small enough."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import Kernels, ModelRegistry
from models.kernel.int8.lstm import LOGIT_BITS
from models.networks import build_model
from models.store.checkpoint import load_checkpoint
from models.store.registry import SHIPPED
from tests.models import int8_oracle as oracle
from training.kneser_ney import KneserNey
from training.publishing import recreate_split
from training.quantization import mean_loss


@pytest.fixture(scope="module")
def shipped(kernels: Kernels) -> ModelRegistry:
    """The shipped store alone."""
    return ModelRegistry.open(kernels)


ARCHITECTURES = ("bigram", "mlp", "wavenet", "gated_wavenet", "lstm")
# The versions with integer weights, and the ones whose weights they round.
INTEGERS = [("human/lstm@5", "human/lstm@4"), ("animal/lstm@5", "animal/lstm@4")]
DATASETS = pytest.mark.parametrize("dataset", ["human", "animal"])
PICTURES = {"activations.png", "gradients.png", "weights.png", "updates.png", "losses.png", "embedding.png"}


def test_all_shipped_versions_are_served(shipped: ModelRegistry) -> None:
    assert shipped.refused == {}
    assert shipped.problems() == []
    found = {(v.manifest.dataset, v.manifest.architecture) for v in shipped.versions()}
    assert found == {(dataset, architecture) for dataset in ("human", "animal") for architecture in ARCHITECTURES}
    assert shipped.resolve("human", "lstm@3").manifest.version == 3


@DATASETS
def test_default_is_the_small_distilled_lstm_in_integers(shipped: ModelRegistry, dataset: str) -> None:
    default = shipped.resolve(dataset).manifest
    assert default.reference == f"{dataset}/lstm@5"
    assert "teachers" in default.training
    assert default.parameters < 120_000
    others = [v.manifest for v in shipped.versions(dataset) if v.manifest.architecture != "lstm"]
    assert default.metrics["dev"] < min(manifest.metrics["dev"] for manifest in others)
    reasons = {reason.alias: reason for reason in shipped.reasons()}
    assert reasons[f"{dataset} default"].target == "lstm@5"
    assert "twenty names in" in reasons[f"{dataset} default"].reason


@DATASETS
def test_deeper_architectures_have_lower_loss(shipped: ModelRegistry, dataset: str) -> None:
    versions = {v.manifest.architecture: v for v in shipped.versions(dataset)}
    for part in ("dev", "test"):
        losses = [versions[name].manifest.metrics[part] for name in ("lstm", "wavenet", "mlp", "bigram")]
        assert losses == sorted(losses)
    for name, simpler in (("lstm", "wavenet"), ("wavenet", "mlp"), ("mlp", "bigram")):
        card = versions[name].file("card.md").decode()
        assert f"better than `{simpler}`" in card
        assert "standard error" in card


# By how many nats per character a version's dev loss must be below that of counting.
MARGINS = [
    ("human/lstm@3", 0.08),
    ("human/lstm@4", 0.06),
    ("human/lstm@5", 0.06),
    ("animal/lstm@3", 0.08),
    ("animal/lstm@4", 0.04),
    ("animal/lstm@5", 0.04),
]


@pytest.mark.parametrize(("reference", "margin"), MARGINS)
def test_dev_loss_is_below_kneser_ney(shipped: ModelRegistry, reference: str, margin: float) -> None:
    version = shipped.resolve(None, reference)
    split = recreate_split(version)
    counts = KneserNey.fit(split.train, version.manifest.alphabet).name_losses(split.dev)
    loss = float(counts.sum()) / sum(len(name) + 1 for name in split.dev)
    assert loss - version.manifest.metrics["dev"] > margin


def test_cards_show_figures_and_pictures(shipped: ModelRegistry) -> None:
    for version in shipped.versions():
        manifest = version.manifest
        if manifest.version == 1 and manifest.architecture in ("bigram", "mlp", "wavenet"):
            continue  # from before cards had them
        card = version.file("card.md").decode()
        for text in ("Kneser-Ney of order 6", "drawn (20,000)", "Seen from inside"):
            assert text in card, manifest.reference
        shown = PICTURES - ({"activations.png", "gradients.png"} if manifest.architecture == "bigram" else set())
        assert shown <= manifest.files.keys()
        assert all(f"]({name})" in card and len(version.file(name)) <= 300_000 for name in shown)


def test_kernel_logits_equal_torch_within_1e_5(shipped: ModelRegistry) -> None:
    for version in shipped.versions():
        manifest, generator = version.manifest, version.generator
        if "quantized" in manifest.training:
            continue  # `test_integer_logits_equal_the_plain_oracle`
        network = build_model(manifest.config, generator.vocab_size, torch.Generator())
        network.load_arrays(load_checkpoint(version.folder).arrays)
        network.eval()
        for name in sorted(generator.names)[::500]:
            ids = [0, *generator.vocabulary.encode(name)]
            out = generator.predictor.logits(np.array(ids), generator.shares)
            expected = network.names(torch.tensor(ids), torch.arange(len(ids))).detach().numpy()
            assert np.abs(out - expected).max() <= 1e-5, (version.reference, name)


@pytest.mark.parametrize("reference", [integers for integers, _ in INTEGERS])
def test_integer_logits_equal_the_plain_oracle(shipped: ModelRegistry, reference: str) -> None:
    version = shipped.resolve(None, reference)
    generator = version.generator
    model = {name: array.tolist() for name, array in version.arrays().items()} | {"styles": []}
    names = sorted(generator.names)
    for name in names[:: len(names) // 5]:
        ids = [0, *generator.vocabulary.encode(name)]
        found = generator.predictor.logits(np.array(ids), generator.shares) * 2**LOGIT_BITS
        assert found.tolist() == oracle.prefix_logits(model, ids), name


@pytest.mark.parametrize(("reference", "trained"), INTEGERS)
def test_integer_loss_is_published_and_near_the_floats(shipped: ModelRegistry, reference: str, trained: str) -> None:
    version = shipped.resolve(None, reference)
    manifest, split = version.manifest, recreate_split(version)
    assert manifest.training["quantized"] == trained
    loss = mean_loss(manifest.config, version.arrays(), split.dev, manifest.alphabet)
    assert loss == pytest.approx(manifest.metrics["dev"], abs=1e-9)
    before = shipped.resolve(None, trained).manifest.metrics
    assert all(abs(manifest.metrics[part] - before[part]) < 2e-4 for part in before)


def test_shipped_store_is_at_most_20_mb() -> None:
    assert 0 < sum(path.stat().st_size for path in Path(SHIPPED).rglob("*") if path.is_file()) <= 20_000_000


def test_animal_cards_carry_the_wordnet_licence(shipped: ModelRegistry) -> None:
    for version in shipped.versions("animal"):
        assert "WordNet" in version.file("card.md").decode()
        assert "Princeton" in version.file("card.md").decode()
