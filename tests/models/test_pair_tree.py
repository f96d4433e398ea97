"""A wavenet's tree of pairs against the torch network, and the projection of an embedding against closed forms."""

import numpy as np
import pytest
import torch

from models import ModelConfig
from models.config import ARCHITECTURES
from models.inference.pair_tree import pair_tree
from models.inference.projection import project
from models.networks import build_model


@pytest.mark.parametrize("block_size", [2, 8, 32])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_logits_are_the_torch_networks(block_size: int, activation: str) -> None:
    """Trees of any height and both activations give torch's logits within 1e-5."""
    config = ModelConfig(
        architecture="wavenet",
        block_size=block_size,
        n_embd=5,
        n_hidden=12,
        activation=activation,  # type: ignore[arg-type]
    )
    generator = torch.Generator().manual_seed(3)
    network = build_model(config, 11, generator)
    for _ in range(5):
        network.windows(torch.randint(0, 11, (64, block_size), generator=generator))
    network.eval()
    for length in (0, 1, block_size, block_size + 3):
        ids = torch.randint(1, 11, (length,), generator=generator).tolist()
        tree = pair_tree(config, network.to_arrays(), ids)
        with torch.no_grad():
            expected = network.windows(torch.tensor([([0] * block_size + ids)[-block_size:]]))[0].numpy()
        np.testing.assert_allclose(tree.logits, expected, atol=1e-5)
        assert len(tree.layers) == block_size.bit_length() - 1


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"wavenet"}))
def test_no_other_architecture_is_a_tree_of_pairs(architecture: str) -> None:
    """The four others are refused, gated wavenets too, whose blocks look back instead of joining."""
    config = ModelConfig(architecture=architecture, block_size={"bigram": 1, "lstm": 64}.get(architecture, 8))
    with pytest.raises(ValueError, match="no tree of pairs"):
        pair_tree(config, {}, [])


def test_a_projection_needs_no_more_than_two_rows() -> None:
    """Two directions lie on one axis, which holds everything; equal ones, and no direction at all, hold nothing; a
    narrow embedding has one axis only.
    """
    seen = project(np.array([[0.0, 0.0, 3.0], [0.0, 0.0, -4.0]]))
    np.testing.assert_allclose(np.abs(seen.points), [[1, 0], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(seen.explained, [1, 0], atol=1e-12)
    assert seen.nearest.tolist() == [1, 0]
    assert project(np.ones((2, 3))).explained.tolist() == [0, 0]
    assert project(np.zeros((2, 3))).explained.tolist() == [0, 0]
    assert project(np.array([[1.0], [-2.0], [4.0]])).points[:, 1].tolist() == [0, 0, 0]
