"""What the tests of the sampling kernel share: the slow path, which draws each candidate alone, and generators of any
shape.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import Draft, Kernels, ModelConfig, NameGenerator, SamplingOptions, Vocabulary
from models.inference import arithmetic, distribution
from models.manifest import DataRecord
from models.networks import build_model
from models.publication import draft_generator

Names = tuple[str, ...]
Drawn = tuple[NDArray[np.int32], NDArray[np.int32]]
SlowPath = Callable[[NameGenerator, SamplingOptions, int, int, int, int], Drawn]
BoundariesAfter = Callable[[NameGenerator, SamplingOptions, list[int]], NDArray[np.int32]]
MakeGenerator = Callable[[ModelConfig, Names], NameGenerator]


def plain_boundaries(generator: NameGenerator, options: SamplingOptions, ids: list[int]) -> NDArray[np.int32]:
    """What random words are compared with after the characters `ids`: by the plain form of the model."""
    V = generator.vocab_size
    logits = generator.predictor.logits(np.array([0, *ids], np.int64), generator.shares)
    for character in set(options.excludes) & set(generator.vocabulary.characters):
        logits[-1, generator.vocabulary.stoi[character]] = -1e30
    weight, boundaries = np.empty(V, np.float32), np.empty(V, np.int32)
    distribution.fill_boundaries.py_func(
        logits[-1],
        int(len(ids) < options.min_length),
        np.float32(options.temperature),
        min(options.top_k or V, V),
        np.float32(options.top_p or 1.0),
        weight,
        boundaries,
    )
    return boundaries


def draw_alone(generator: NameGenerator, options: SamplingOptions, longest: int, seed: int, index: int) -> list[int]:
    """One candidate's outcomes, position by position, up to the end token or to one character more than `longest`."""
    ids = list(generator.vocabulary.encode(options.prefix))
    while len(ids) <= longest:
        numbers = (np.uint64(seed), np.uint64(index), np.uint64(len(ids) // 4))
        with np.errstate(over="ignore"):
            word = int(arithmetic.philox.py_func(*numbers)[len(ids) % 4]) >> 2
        outcome = int((plain_boundaries(generator, options, ids) <= word).sum())
        ids.append(outcome)
        if outcome == 0:
            break
    return ids


@pytest.fixture(scope="session")
def slow_path() -> SlowPath:
    """The definition of `NameGenerator.draw`: (generator, options, longest, seed, first, n) to codes and lengths."""

    def draw(generator: NameGenerator, options: SamplingOptions, longest: int, seed: int, first: int, n: int) -> Drawn:
        codes, lengths = np.zeros((n, longest), np.int32), np.empty(n, np.int32)
        for c in range(n):
            ids = draw_alone(generator, options, longest, seed, first + c)
            lengths[c] = len(ids) - 1 if ids[-1] == 0 else -1
            codes[c, : min(len(ids), longest)] = ids[:longest]
        return codes, lengths

    return draw


@pytest.fixture(scope="session")
def boundaries_after() -> BoundariesAfter:
    """What random words are compared with after some characters: (generator, options, ids) to (V,)."""
    return plain_boundaries


@pytest.fixture(scope="session")
def make_generator(kernels: Kernels) -> MakeGenerator:
    """Makes a generator of an untrained network of any shape, with lively logits, over any list."""

    def make(config: ModelConfig, names: Names) -> NameGenerator:
        vocabulary = Vocabulary.of(names)
        random = torch.Generator().manual_seed(1)
        network = build_model(config, len(vocabulary), random)
        ids = torch.randint(0, len(vocabulary), (400,), generator=random)
        positions = torch.arange(400) % 10
        ids[positions == 0] = 0
        for _ in range(20):
            network.names(ids, positions)
        state = network.state_dict()
        state["output.weight" if "output.weight" in state else "embedding.weight"].mul_(15)
        network.eval()
        data = DataRecord(title="Any", sha256="0" * 64, names=len(names), longest=max(map(len, names)), split_seed=42)
        draft = Draft(
            dataset="any",
            config=config,
            vocabulary=vocabulary,
            parameters=network.parameter_count,
            data=data,
            seed=1,
            metrics={"train": 2.0, "dev": 2.1, "test": 2.1},
            training={"steps": 1},
            arrays=network.to_arrays(),
            names=names,
            files={"card.md": b"# Any\n"},
        )
        return draft_generator(draft, kernels)

    return make
