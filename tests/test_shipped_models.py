"""The models that ship: whole, ready, in order of quality, and small enough."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data import CATALOG
from models import Kernels, ModelRegistry
from models.kernel.int8.lstm import LOGIT_BITS
from models.store.registry import SHIPPED
from tests.models import int8_oracle as oracle
from training.evaluation import measured
from training.kneser_ney import KneserNey
from training.publishing import load_network, recreate_split
from training.quantization import mean_loss


@pytest.fixture(scope="module")
def shipped(kernels: Kernels) -> ModelRegistry:
    """The shipped store alone."""
    return ModelRegistry.open(kernels)


ARCHITECTURES = ("bigram", "mlp", "wavenet", "gated_wavenet", "lstm")
# The versions with integer weights, and the ones whose weights they round.
INTEGERS = [
    *(("human/lstm@5", "human/lstm@4"), ("human/lstm@7", "human/lstm@6"), ("animal/lstm@5", "animal/lstm@4")),
    ("town/lstm@4", "town/lstm@3"),
    *((f"{dataset}/lstm@2", f"{dataset}/lstm@1") for dataset in ("surname", "species", "japanese")),
]
# The default of each data set, and the most parameters that it may have.
DEFAULTS = {
    "human": ("lstm@7", 120_000),
    "surname": ("lstm@2", 120_000),
    "town": ("lstm@4", 400_000),
    "animal": ("lstm@5", 120_000),
    "species": ("lstm@2", 400_000),
    "japanese": ("lstm@2", 120_000),
}
STYLES = {
    "human": ("gender", "decade"),
    "surname": (),
    "town": ("country",),
    "animal": (),
    "species": ("kind",),
    "japanese": ("gender",),
}
PICTURES = {"activations.png", "gradients.png", "weights.png", "updates.png", "losses.png", "embedding.png"}


def test_all_shipped_versions_are_served(shipped: ModelRegistry) -> None:
    assert shipped.refused == {}
    assert shipped.problems() == []
    found = {(v.manifest.dataset, v.manifest.architecture) for v in shipped.versions()}
    expected = {(dataset, architecture) for dataset in CATALOG for architecture in ("bigram", "lstm")}
    assert found == expected | {(dataset, each) for dataset in ("human", "animal") for each in ARCHITECTURES}
    assert shipped.resolve("human", "lstm@3").manifest.version == 3


@pytest.mark.parametrize("dataset", DEFAULTS)
def test_default_has_integers_and_beats_all_simpler_models(shipped: ModelRegistry, dataset: str) -> None:
    model, most_parameters = DEFAULTS[dataset]
    version = shipped.resolve(dataset)
    default = version.manifest
    assert default.reference == f"{dataset}/{model}"
    assert "quantized" in default.training
    assert default.parameters < most_parameters
    others = [v.manifest for v in shipped.versions(dataset) if v.manifest.architecture != "lstm"]
    same = [manifest for manifest in others if manifest.data.sha256 == default.data.sha256]
    assert default.metrics["dev"] < min(manifest.metrics["dev"] for manifest in same)
    assert tuple(version.generator.styles.values) == STYLES[dataset]
    reasons = {reason.alias: reason for reason in shipped.reasons()}
    assert reasons[f"{dataset} default"].target == model


@pytest.mark.parametrize("dataset", ["human", "animal"])
def test_deeper_architectures_have_lower_loss(shipped: ModelRegistry, dataset: str) -> None:
    versions = {
        architecture: shipped.resolve(dataset, f"{architecture}@{number}")
        for architecture, number in (("lstm", 3), ("wavenet", 3), ("mlp", 3), ("bigram", 3))
    }
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
    ("human/lstm@7", 0.05),
    ("surname/lstm@2", 0.06),
    ("town/lstm@4", 0.02),
    ("species/lstm@2", 0.008),
    ("japanese/lstm@2", 0.15),
]


@pytest.mark.parametrize(("reference", "margin"), MARGINS)
def test_dev_loss_is_below_kneser_ney(shipped: ModelRegistry, reference: str, margin: float) -> None:
    version = shipped.resolve(None, reference)
    split = recreate_split(version)
    dev = measured(split).dev
    counts = KneserNey.fit(split.train, version.manifest.alphabet).name_losses(dev)
    loss = float(counts.sum()) / sum(len(name) + 1 for name in dev)
    assert loss - version.manifest.metrics["dev"] > margin


def test_cards_show_figures_and_pictures(shipped: ModelRegistry) -> None:
    for version in shipped.versions():
        manifest, card = version.manifest, version.file("card.md").decode()
        for text in ("Kneser-Ney of order 6", "drawn (20,000)"):
            assert text in card, manifest.reference
        shown = PICTURES & manifest.files.keys()
        if manifest.architecture in ("mlp", "wavenet", "gated_wavenet"):
            assert shown == PICTURES
        assert ("Seen from inside" in card) == bool(shown)
        assert all(f"]({name})" in card and len(version.file(name)) <= 300_000 for name in shown)
        for style, values in version.generator.styles.values.items():
            assert all(f"| {style}: {value} |" in card for value in values)


def test_kernel_logits_equal_torch_within_1e_5(shipped: ModelRegistry) -> None:
    for version in shipped.versions():
        manifest, generator = version.manifest, version.generator
        if "quantized" in manifest.training:
            continue  # `test_integer_logits_equal_the_plain_oracle`
        network = load_network(version)
        for name in sorted(generator.names)[::500]:
            ids = [0, *generator.vocabulary.encode(name)]
            out = generator.predictor.logits(np.array(ids), generator.shares)
            expected = network.names(torch.tensor(ids), torch.arange(len(ids))).detach().numpy()
            # A wide network adds up more products, and its logits are larger.
            most = 1e-5 if manifest.config.n_hidden < 256 else 2e-5
            assert np.abs(out - expected).max() <= most, (version.reference, name)


@pytest.mark.parametrize("reference", [integers for integers, _ in INTEGERS])
def test_integer_logits_equal_the_plain_oracle(shipped: ModelRegistry, reference: str) -> None:
    version = shipped.resolve(None, reference)
    generator = version.generator
    model = {"styles": []} | {name: array.tolist() for name, array in version.arrays().items()}
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
    loss = mean_loss(manifest.config, version.arrays(), measured(split).dev, manifest.alphabet)
    assert loss == pytest.approx(manifest.metrics["dev"], abs=1e-9)
    before = shipped.resolve(None, trained).manifest.metrics
    assert manifest.metrics.keys() == before.keys()
    most = 2e-4 if manifest.config.n_hidden < 256 else 5e-4
    assert all(abs(manifest.metrics[part] - before[part]) < most for part in before)


def test_shipped_store_is_at_most_40_mb() -> None:
    assert 0 < sum(path.stat().st_size for path in Path(SHIPPED).rglob("*") if path.is_file()) <= 40_000_000


def test_animal_cards_carry_the_wordnet_licence(shipped: ModelRegistry) -> None:
    for version in shipped.versions("animal"):
        assert "WordNet" in version.file("card.md").decode()
        assert "Princeton" in version.file("card.md").decode()
