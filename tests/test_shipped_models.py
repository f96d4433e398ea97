"""The models that ship: whole, ready, in order of quality, and small enough."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import Kernels, ModelRegistry
from models.checkpoint import load_checkpoint
from models.networks import build_model
from models.registry import SHIPPED
from training.kneser_ney import KneserNey
from training.published import split_of


@pytest.fixture(scope="module")
def shipped(kernels: Kernels) -> ModelRegistry:
    """The shipped store alone."""
    return ModelRegistry.open(kernels)


ARCHITECTURES = ("bigram", "mlp", "wavenet", "gated_wavenet", "lstm")
DATASETS = pytest.mark.parametrize("dataset", ["human", "animal"])
PICTURES = {"activations.png", "gradients.png", "weights.png", "updates.png", "losses.png", "embedding.png"}


def test_all_are_served(shipped: ModelRegistry) -> None:
    """Every version of every architecture is verified down to its golden names, old ones of this sampling too."""
    assert shipped.refused == {}
    assert shipped.problems() == []
    found = {(v.manifest.dataset, v.manifest.architecture) for v in shipped.versions()}
    assert found == {(dataset, architecture) for dataset in ("human", "animal") for architecture in ARCHITECTURES}
    assert shipped.resolve("human", "lstm@3").manifest.version == 3


@DATASETS
def test_the_default_is_the_best_that_is_fast(shipped: ModelRegistry, dataset: str) -> None:
    """The default is the small net that large ones taught: better on dev than any but the large lstm, and the aliases
    say why.
    """
    default = shipped.resolve(dataset).manifest
    assert default.reference == f"{dataset}/lstm@4"
    assert "teachers" in default.training
    assert default.parameters < 120_000
    others = [v.manifest for v in shipped.versions(dataset) if v.manifest.architecture != "lstm"]
    assert default.metrics["dev"] < min(manifest.metrics["dev"] for manifest in others)
    reasons = {reason.alias: reason for reason in shipped.reasons()}
    assert reasons[f"{dataset} default"].target == "lstm@4"
    assert "twenty names in" in reasons[f"{dataset} default"].reason


@DATASETS
def test_deeper_is_better(shipped: ModelRegistry, dataset: str) -> None:
    """lstm beats wavenet beats mlp beats bigram on dev and test, and the card says by how much."""
    versions = {v.manifest.architecture: v for v in shipped.versions(dataset)}
    for part in ("dev", "test"):
        losses = [versions[name].manifest.metrics[part] for name in ("lstm", "wavenet", "mlp", "bigram")]
        assert losses == sorted(losses)
    for name, simpler in (("lstm", "wavenet"), ("wavenet", "mlp"), ("mlp", "bigram")):
        card = versions[name].file("card.md").decode()
        assert f"better than `{simpler}`" in card
        assert "standard error" in card


# By how many nats per character a version's dev loss must be below that of counting.
MARGINS = [("human/lstm@3", 0.08), ("human/lstm@4", 0.06), ("animal/lstm@3", 0.08), ("animal/lstm@4", 0.04)]


@pytest.mark.parametrize(("reference", "margin"), MARGINS)
def test_networks_beat_counting(shipped: ModelRegistry, reference: str, margin: float) -> None:
    """On the version's own split its dev loss is below that of Kneser-Ney counts, recomputed here."""
    version = shipped.resolve(None, reference)
    split = split_of(version)
    counts = KneserNey.fit(split.train, version.manifest.alphabet).name_losses(split.dev)
    loss = float(counts.sum()) / sum(len(name) + 1 for name in split.dev)
    assert loss - version.manifest.metrics["dev"] > margin


def test_cards_carry_their_figures_and_pictures(shipped: ModelRegistry) -> None:
    """Each released version shows its gap to counting, the quality of 20,000 names and what goes on inside, in small
    files.
    """
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


def test_frozen_logits_equal_torchs(shipped: ModelRegistry) -> None:
    """For each shipped version, the kernel's logits over names of its list are within 1e-5 of the torch network's."""
    for version in shipped.versions():
        manifest, generator = version.manifest, version.generator
        network = build_model(manifest.config, generator.vocab_size, torch.Generator())
        network.load_arrays(load_checkpoint(version.folder).arrays)
        network.eval()
        for name in sorted(generator.names)[::500]:
            ids = [0, *generator.vocabulary.encode(name)]
            out = generator.predictor.logits(np.array(ids), generator.shares)
            expected = network.names(torch.tensor(ids), torch.arange(len(ids))).detach().numpy()
            assert np.abs(out - expected).max() <= 1e-5, (version.reference, name)


def test_the_store_is_small() -> None:
    """All shipped files together are at most 20 MB."""
    assert 0 < sum(path.stat().st_size for path in Path(SHIPPED).rglob("*") if path.is_file()) <= 20_000_000


def test_animal_cards_carry_the_notice(shipped: ModelRegistry) -> None:
    """Cards of models trained on WordNet's words carry its licence notice."""
    for version in shipped.versions("animal"):
        assert "WordNet" in version.file("card.md").decode()
        assert "Princeton" in version.file("card.md").decode()
