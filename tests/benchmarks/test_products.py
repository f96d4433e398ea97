"""How many multiply-adds a position has: counted here from the arrays of the shipped models."""

import pytest

from benchmarks.measures.core import products
from models.checkpoint import load_checkpoint
from models.registry import SHIPPED
from models.store import Key, Store

NEWEST = {(key.dataset, key.architecture): key for key in sorted(Store(SHIPPED).present())}
# What is looked up by character and not multiplied: embeddings, and the first layers that follow them at once.
TABLES = {
    "bigram": {"embedding.weight"},
    "mlp": {"embedding.weight", "linear0.weight"},
    "wavenet": {"embedding.weight", "linear0.weight"},
    "gated_wavenet": {"embedding.weight"},
    "lstm": {"embedding.weight", "lstm0.input"},
}


@pytest.mark.parametrize("key", NEWEST.values(), ids=lambda key: key.reference)
def test_every_weight_of_a_matrix_is_used_once_a_position(key: Key) -> None:
    """The formula of an architecture gives as many products as its matrices hold numbers, tables left out."""
    checkpoint = load_checkpoint(Store(SHIPPED).folder(key))
    tables = TABLES[key.architecture]
    matrices = [array for name, array in checkpoint.arrays.items() if array.ndim == 2 and name not in tables]
    assert matrices or key.architecture == "bigram"
    counted = sum(array.size for array in matrices)
    assert products(checkpoint.manifest.config, len(checkpoint.manifest.alphabet)) == counted
