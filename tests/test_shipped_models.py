"""The models that ship: whole, ready, in order of quality, and small enough."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import Kernels, ModelRegistry
from models.checkpoint import load_checkpoint
from models.networks import build_model
from models.registry import SHIPPED


@pytest.fixture(scope="module")
def shipped(kernels: Kernels) -> ModelRegistry:
    """The shipped store alone."""
    return ModelRegistry.open(kernels)


def test_all_are_served(shipped: ModelRegistry) -> None:
    """Six versions, verified down to their golden names; each data set's default is its wavenet."""
    assert shipped.refused == {}
    assert shipped.problems() == []
    assert sorted({f"{v.manifest.dataset}/{v.manifest.architecture}" for v in shipped.versions()}) == [
        "animal/bigram",
        "animal/mlp",
        "animal/wavenet",
        "human/bigram",
        "human/mlp",
        "human/wavenet",
    ]
    assert {shipped.resolve(d).manifest.architecture for d in ("human", "animal")} == {"wavenet"}


@pytest.mark.parametrize("dataset", ["human", "animal"])
def test_deeper_is_better(shipped: ModelRegistry, dataset: str) -> None:
    """wavenet beats mlp beats bigram on dev and test, and the card says by how much."""
    versions = {v.manifest.architecture: v for v in shipped.versions(dataset)}
    for part in ("dev", "test"):
        losses = [versions[name].manifest.metrics[part] for name in ("wavenet", "mlp", "bigram")]
        assert losses == sorted(losses)
    for name, simpler in (("wavenet", "mlp"), ("mlp", "bigram")):
        card = versions[name].file("card.md").decode()
        assert f"better than `{simpler}`" in card
        assert "standard error" in card


def test_frozen_logits_equal_torchs(shipped: ModelRegistry) -> None:
    """For each shipped version, the kernel's logits over names of its list are within 1e-5 of the torch network's."""
    for version in shipped.versions():
        manifest, generator = version.manifest, version.generator
        network = build_model(manifest.config, generator.vocab_size, torch.Generator())
        network.load_arrays(load_checkpoint(version.folder).arrays)
        network.eval()
        for name in sorted(generator.names)[::500]:
            ids = [0, *generator.vocabulary.encode(name)]
            out = np.empty((len(ids), generator.vocab_size), np.float32)
            generator._kernels.logits(*generator._arrays, np.array(ids), out)
            expected = network.names(torch.tensor(ids), torch.arange(len(ids))).detach().numpy()
            assert np.abs(out - expected).max() <= 1e-5, (version.reference, name)


def test_the_store_is_small() -> None:
    """All shipped files together are under 8 MB."""
    assert 0 < sum(path.stat().st_size for path in Path(SHIPPED).rglob("*") if path.is_file()) < 8_000_000


def test_animal_cards_carry_the_notice(shipped: ModelRegistry) -> None:
    """Cards of models trained on WordNet's words carry its licence notice."""
    for version in shipped.versions("animal"):
        assert "WordNet" in version.file("card.md").decode()
        assert "Princeton" in version.file("card.md").decode()
