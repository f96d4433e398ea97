"""The models that ship: whole, ready, in order of quality, and small enough."""

from pathlib import Path

import pytest

from models import Kernels, ModelRegistry
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


def test_the_store_is_small() -> None:
    """All shipped files together are under 8 MB."""
    assert 0 < sum(path.stat().st_size for path in Path(SHIPPED).rglob("*") if path.is_file()) < 8_000_000


def test_animal_cards_carry_the_notice(shipped: ModelRegistry) -> None:
    """Cards of models trained on WordNet's words carry its licence notice."""
    for version in shipped.versions("animal"):
        assert "WordNet" in version.file("card.md").decode()
        assert "Princeton" in version.file("card.md").decode()
