"""Fixtures of the model tests: generators with their networks, and registries with published versions."""

import pytest

from models import Draft, ModelRegistry, NameGenerator
from models.networks import Network


@pytest.fixture(scope="session")
def generator(any_generator: tuple[NameGenerator, Network]) -> NameGenerator:
    """A generator of each architecture."""
    return any_generator[0]


@pytest.fixture(scope="session")
def network(any_generator: tuple[NameGenerator, Network]) -> Network:
    """The network that `generator` was frozen from."""
    return any_generator[1]


@pytest.fixture
def published(registry: ModelRegistry, elf_draft: Draft) -> ModelRegistry:
    """A registry whose user store holds elves/wavenet@1."""
    registry.publish(elf_draft)
    return registry


@pytest.fixture
def twice_published(published: ModelRegistry, elf_draft: Draft) -> ModelRegistry:
    """A registry whose user store holds elves/wavenet@1 and @2."""
    published.publish(elf_draft)
    return published
