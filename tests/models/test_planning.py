"""Plans: lookups, products and reach as counted by hand, and evaluation with the bits of the plain model."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models import Kernels, ModelConfig, ModelRegistry, NameGenerator, SamplingOptions
from models.inference import ModelPredictor, PrefixMemory
from models.kernel.compile_plan import make_plan
from tests.models.reference import draw, lent, untrained_generator

SMALL, LARGE = "abcdefghijklmnopqrstuvwxyz", "".join(map(chr, range(0x4E00, 0x4E00 + 90)))
H, C = 20, 6
GATED = ModelConfig(architecture="gated_wavenet", block_size=16, n_embd=C, n_hidden=H)
WAVENET = ModelConfig(architecture="wavenet", block_size=8, n_embd=C, n_hidden=H)
MLP = ModelConfig(architecture="mlp", block_size=3, n_embd=C, n_hidden=H)
LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=C, n_hidden=H, n_layers=2)
BIGRAM = ModelConfig(architecture="bigram", block_size=1)
# Logits are padded to whole runs of 32: 27 outcomes to 32, 91 to 96. A row is never narrower than a layer and a run.
EXPECTED = [
    # Everything is a table.
    (BIGRAM, SMALL, 32 + 32, 0, 0),
    (BIGRAM, LARGE, 96 + 32, 0, 0),
    # 27^3 triples have tables, and so has what the only layer says of the logits.
    (MLP, SMALL, 32 + 32, 0, 0),
    # 92^2 pairs have none: three tables of single characters make the layer, and the logits are a product.
    (MLP, LARGE, 96 + 32, 0, 0),
    # Layer 1 and its products are tables; layer 2, made by looking up, is made again 4 positions later.
    (WAVENET, SMALL, 3 * H + 32, 0, 4),
    # Layer 1 is made again by looking up, layer 2 has to be remembered.
    (WAVENET, LARGE, 3 * H + 96, H, 4),
    # Each layer's h and c are remembered. The first layer's input is a table.
    (LSTM, SMALL, 2 * 4 * H + 32, 2 * 2 * H, 1),
    (LSTM, LARGE, 2 * 4 * H + 96, 2 * 2 * H, 1),
    # Four streams and four z's, two layers, logits. The streams before blocks 3 and 4, which hold more characters than
    # a table, are remembered for 4 and 8 positions; the first two are tables.
    (GATED, SMALL, 4 * C + 4 * H + 2 * H + 32, 2 * C, 8),
    # Only the first stream, the embedding, is a table.
    (GATED, LARGE, 4 * C + 4 * H + 2 * H + 96, 3 * C, 8),
]


@pytest.mark.parametrize(
    ("config", "alphabet", "width", "state", "reach"),
    EXPECTED,
    ids=lambda value: value.architecture if isinstance(value, ModelConfig) else None,
)
def test_plan_sizes_equal_a_count_by_hand(
    kernels: Kernels, config: ModelConfig, alphabet: str, width: int, state: int, reach: int
) -> None:
    plan = untrained_generator(config, (alphabet[:50], alphabet[50:] + "a"), kernels).plan
    assert plan.vocab_size == (27 if alphabet == SMALL else 92)
    assert (plan.width, plan.state, plan.reach) == (width, state, reach)


# Multiply-adds of a position of the shipped models, n_in x n_out, logits padded to 32.
SHIPPED = {
    "bigram@3": 0,
    # The layer sees three characters: its products with the output's weights are a table.
    "mlp@3": 0,
    # Layer 3 joins two places of layer 2; then come the logits.
    "wavenet@3": 2 * 128 * 128 + 128 * 32,
    # Residual 2 and 3, gates 3 and 4 of two places, four z's to the first layer, the second layer, the logits.
    "gated_wavenet@2": 2 * 96 * 96 + 2 * 2 * 96 * 192 + 4 * 96 * 96 + 96 * 96 + 96 * 32,
    # Four gates from h, and from the layer below; the first layer's input is a table.
    "lstm@3": 3 * 192 * 4 * 192 + 192 * 32,
    "lstm@4": 128 * 4 * 128 + 128 * 32,
    # The same in 8-bit integers.
    "lstm@5": 128 * 4 * 128 + 128 * 32,
}


def test_shipped_models_cost_the_multiply_adds_counted_by_hand(kernels: Kernels) -> None:
    registry = ModelRegistry.open(kernels)
    for dataset in ("human", "animal"):
        for model, expected in SHIPPED.items():
            assert registry.resolve(dataset, model).generator.plan.multiply_adds == expected


def test_planning_is_deterministic(generator: NameGenerator) -> None:
    assert isinstance(generator.predictor, ModelPredictor)
    plan = make_plan(generator.predictor.model, generator.kernels)
    assert plan is not generator.plan
    for field in ("stages", "terms", "keep", "weights", "alphabets"):
        assert getattr(plan, field).tobytes() == getattr(generator.plan, field).tobytes()


def add_children(children: NDArray[np.int32], node: int, prefixes: dict[int, list[int]]) -> None:
    """Add the prefixes of all nodes below `node`."""
    for v in np.flatnonzero(children[node] > 0).tolist():
        child = int(children[node, v])
        assert child not in prefixes
        prefixes[child] = [*prefixes[node], v]
        add_children(children, child, prefixes)


def test_remembered_logits_equal_the_plain_model(generator: NameGenerator) -> None:
    memory = PrefixMemory(8)
    for temperature in (1.0, 2.5, 1.0, 2.5):
        draw(generator, SamplingOptions(temperature=temperature), 2, 0, 300, memory, longest=20)
    with lent(memory, generator, 1) as tree:
        # The root is node 1; 0 means no node.
        prefixes: dict[int, list[int]] = {1: []}
        add_children(tree.children, 1, prefixes)
        chosen = list(prefixes.items())[:: max(1, len(prefixes) // 250)]
        assert len(chosen) >= 100
        assert max(len(ids) for _, ids in chosen) >= 4
        for node, ids in chosen:
            expected = generator.predictor.logits(np.array([0, *ids], np.int64), generator.shares)[-1]
            assert tree.logits[node].tolist() == expected.tolist()
