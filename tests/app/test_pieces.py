"""How large the first piece of a request is, and that the last one writes the answer."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.load.costs import LENGTH, MULTIPLY_ADDS, Costs, multiply_adds_of
from app.naming.decency import Decency
from app.naming.name_batch import NameBatch
from app.naming.sources import Sources
from app.schemas import GenerateRequest
from app.settings import Settings
from models import Draft, ModelRegistry
from models.blends import Blender, Source
from models.inference import PrefixMemory
from models.inference.pace import FIRST, GOAL


def source_of(reference: str) -> Source:
    """As much of a source as costs look at."""
    return cast(Source, SimpleNamespace(reference=reference, generator=SimpleNamespace(multiply_adds=10_000)))


def test_the_first_piece_is_as_large_as_is_known_to_be_quick() -> None:
    """It is small until the model was measured, then what was drawn in the time of a piece, and small again for another
    model, and for requests that do more with a candidate than to draw it.
    """
    costs, source, plain = Costs(), source_of("a/mlp@1"), GenerateRequest(count=500)
    assert costs.first_piece(plain, source) == FIRST
    for _ in range(3000):
        costs.learn(plain, source, 1000, 1000, GOAL)
    assert costs.first_piece(plain, source) == pytest.approx(1000, abs=1)
    assert costs.first_piece(plain, source_of("a/mlp@2")) == FIRST
    for more in ({"contains": "a"}, {"novel": True}, {"details": True}, {"temperature": 0.1}):
        assert costs.first_piece(GenerateRequest(count=500, **cast(Any, more)), source) == FIRST
    for _ in range(3000):
        costs.learn(plain, source, 1, 1, GOAL)
    assert costs.first_piece(plain, source) == FIRST


def test_a_machine_is_measured_before_it_is_asked(registry: ModelRegistry, elf_draft: Draft) -> None:
    """What a model that was never asked likely takes, is what it has to compute, at the machine's speed; which is that
    of candidates drawn for nothing, halved, and never less than is thought of any machine.
    """
    registry.publish(elf_draft)
    generator = registry.versions()[0].generator
    assert multiply_adds_of(generator) >= MULTIPLY_ADDS
    idle = cast(Any, SimpleNamespace(multiply_adds=10**15, draw=lambda *arguments: None))
    assert multiply_adds_of(idle) > 1e18
    slow = cast(Any, SimpleNamespace(multiply_adds=10, draw=lambda *arguments: None))
    assert multiply_adds_of(slow) >= MULTIPLY_ADDS
    plain, source = GenerateRequest(count=95), source_of("a/mlp@1")
    for speed in (1e9, 3e10):
        assert Costs(speed).seconds(plain, source, 10**6) == pytest.approx(100 * LENGTH * 10_000 / speed)


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("first", [FIRST, 1000])
def test_the_last_piece_writes_the_answer(registry: ModelRegistry, elf_draft: Draft, first: int, details: bool) -> None:
    """Whatever its pieces, an answer is written with the last of them, and is what `answer` gives; one that was stopped
    is not written yet.
    """
    registry.publish(elf_draft)
    source = Sources(registry, Blender(registry.kernels)).find("elves", None)
    decency = Decency.load(Settings(), registry.kernels.find)
    request = GenerateRequest(dataset="elves", count=600, seed=1, details=details, unique=False)
    batch = NameBatch(request, source, 5000, PrefixMemory(2**20), decency, first)
    sizes = []
    while not batch.finished:
        assert batch.written is None
        batch.piece()
        sizes.append(batch.stream.attempts)
    assert details or sizes[0] == min(first, 600)
    assert batch.written == batch.answer()
    assert len(json.loads(batch.written.json)["names"]) == 600
    stopped = NameBatch(request, source, 5000, PrefixMemory(2**20), decency, FIRST)
    stopped.piece()
    stopped.stop()
    assert stopped.written is None
