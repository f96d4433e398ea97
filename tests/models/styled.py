"""Small networks with styles, and their drafts and generators."""

from dataclasses import replace

import torch
from torch import Tensor

from models import Draft, Kernels, ModelConfig, NameGenerator, Vocabulary
from models.networks import Network, build_model
from models.store.publishing import draft_generator
from models.styles import Styles
from tests.conftest import draft_of

STYLES = Styles({"gender": ("feminine", "masculine"), "decade": ("1950s", "1980s", "2010s")})
S = 5
CONFIGS = {
    "lstm": ModelConfig(architecture="lstm", block_size=64, n_embd=5, n_hidden=7),
    "lstm2": ModelConfig(architecture="lstm", block_size=64, n_embd=5, n_hidden=6, n_layers=2, dropout=0.1),
    "wavenet": ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=9),
    "mlp": ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=8, n_layers=2),
}
STACKS = ["wavenet", "mlp"]
NAMES = ("kalomi", "renka", "tusha", "velor", "nedri", "olka")
VOCABULARY = Vocabulary.of(NAMES)


def seeded(seed: int) -> torch.Generator:
    """A random generator."""
    return torch.Generator().manual_seed(seed)


def batch_of(names: tuple[str, ...] = NAMES) -> tuple[Tensor, Tensor, Tensor]:
    """The names end to end: ids, positions, and styles of which each name has others, the first none."""
    ids = [i for name in names for i in [0, *VOCABULARY.encode(name)]]
    positions = [t for name in names for t in range(len(name) + 1)]
    table = [[0] * S, [1, 0, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [1, 0, 0, 1, 0], [0, 1, 1, 0, 0]]
    styles = [row for name, row in zip(names, table, strict=True) for _ in range(len(name) + 1)]
    return torch.tensor(ids), torch.tensor(positions), torch.tensor(styles, dtype=torch.float32)


def styled_network(config: ModelConfig, n_styles: int = S) -> Network:
    """A network with lively styles, logits and running statistics, in evaluation mode."""
    network = build_model(config, len(VOCABULARY), seeded(1), n_styles)
    ids, positions, _ = batch_of()
    for _ in range(5):
        network.names(ids, positions)
    generator = seeded(2)
    for name, array in network.state_dict().items():
        if "style" in name:
            array.normal_(generator=generator)
    network.state_dict()["output.weight"].mul_(4)
    network.eval()
    return network


def draft_with(network: Network, styles: Styles = STYLES) -> Draft:
    """A draft of a network with styles."""
    return replace(draft_of(network, NAMES), styles=styles)


def generator_of(network: Network, kernels: Kernels) -> NameGenerator:
    """The generator of a network with styles."""
    return draft_generator(draft_with(network), kernels)
