"""Shared fixtures: compiled kernels, small untrained networks, and stores in temporary folders."""

import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
import torch

from models import Draft, Kernels, ModelConfig, ModelRegistry, NameGenerator, Vocabulary, prepare
from models.manifest import DataRecord
from models.networks import Network, build_model
from models.store.publishing import draft_generator

# Tests pass on a slow, busy machine.
hypothesis.settings.register_profile("any speed", deadline=None)
hypothesis.settings.load_profile("any speed")
SYLLABLES = ("ka", "lo", "mi", "ren", "tu", "sha", "vel", "or", "ne", "dri")
CONFIGS = {
    "bigram": ModelConfig(architecture="bigram", block_size=1),
    "mlp": ModelConfig(architecture="mlp", block_size=3, n_embd=5, n_hidden=16),
    "deep_mlp": ModelConfig(architecture="mlp", block_size=4, n_embd=6, n_hidden=11, n_layers=3, activation="relu"),
    "wavenet": ModelConfig(architecture="wavenet", block_size=8, n_embd=6, n_hidden=20),
    "gated_wavenet": ModelConfig(architecture="gated_wavenet", block_size=16, n_embd=7, n_hidden=10, dropout=0.1),
    "lstm": ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=9, n_layers=2, dropout=0.1),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: some tests wait for services and browsers."""
    return 1 + (os.cpu_count() or 1)


def pytest_sessionstart() -> None:
    """Collect no garbage while tests are collected: nearly all objects stay. Use one thread: tests run side by side."""
    gc.disable()
    torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Set aside the objects that stay for the whole run, such as torch and the tests: full collections skip them."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of uvicorn only. Of the session, so that modules can have an application for all their tests."""
    return "asyncio"


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    """The compiled sampler, at this processor's best level."""
    return prepare()


@pytest.fixture(scope="session")
def made_up_names() -> tuple[str, ...]:
    """A thousand distinct names of three syllables, from one seedless rule."""
    return tuple("".join(parts) for parts in itertools.product(SYLLABLES, repeat=3))


def untrained(config: ModelConfig, vocab_size: int, seed: int = 1) -> Network:
    """A network with lively logits and running statistics of its own, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    network = build_model(config, vocab_size, generator)
    ids = torch.randint(0, vocab_size, (300,), generator=generator)
    positions = torch.arange(300) % 10
    ids[positions == 0] = 0
    for _ in range(20):
        network.names(ids, positions)
    state = network.state_dict()
    state["output.weight" if "output.weight" in state else "embedding.weight"].mul_(15)
    network.eval()
    return network


def draft_of(network: Network, names: tuple[str, ...], dataset: str = "elves") -> Draft:
    """A draft ready to publish."""
    data = DataRecord(title="Elves", sha256="0" * 64, names=len(names), longest=max(map(len, names)), split_seed=42)
    return Draft(
        dataset=dataset,
        config=network.config,
        vocabulary=Vocabulary.of(names),
        parameters=network.parameter_count,
        data=data,
        seed=1,
        metrics={"train": 2.0, "dev": 2.1, "test": 2.1},
        training={"steps": 1},
        arrays=network.to_arrays(),
        names=names,
        files={"card.md": b"# Elves\n"},
    )


@pytest.fixture(scope="session", params=list(CONFIGS))
def any_generator(
    request: pytest.FixtureRequest, kernels: Kernels, made_up_names: tuple[str, ...]
) -> tuple[NameGenerator, Network]:
    """A generator of each architecture, with the network it was frozen from."""
    network = untrained(CONFIGS[request.param], len(Vocabulary.of(made_up_names)))
    return draft_generator(draft_of(network, made_up_names), kernels), network


@pytest.fixture(scope="session")
def elf_draft(made_up_names: tuple[str, ...]) -> Draft:
    """A small wavenet over the made-up names, ready to publish."""
    return draft_of(untrained(CONFIGS["wavenet"], len(Vocabulary.of(made_up_names))), made_up_names)


@pytest.fixture(scope="session")
def elf_store(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, elf_draft: Draft) -> Path:
    """A store with two versions of the elves' wavenet."""
    root = tmp_path_factory.mktemp("stores")
    registry = ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped")
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    return root


@pytest.fixture
def registry(tmp_path: Path, kernels: Kernels) -> ModelRegistry:
    """A registry over two empty stores: shipped/ and user/."""
    return ModelRegistry.open(kernels, user=tmp_path / "user", shipped=tmp_path / "shipped")


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Reset the logging set-up after each test: it may write to a stream that ends with the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
