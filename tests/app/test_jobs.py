"""The size of the first chunk, the measured speed behind it, and the answer that the last chunk makes."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.admission import cost_model
from app.admission.cost_model import (
    MAX_CACHE_GAIN,
    NAME_LENGTH,
    SLOWEST_MULTIPLY_ADDS,
    TEST_CANDIDATES,
    TEST_RUNS,
    CostModel,
    measure_multiply_adds,
)
from app.names.generation import SCORED_CHARACTER_COST, SamplerCache
from app.names.jobs import GenerateJob, StreamJob
from app.names.sources import SourceResolver
from app.schemas import GenerateRequest
from app.web.negotiation import JSON, NDJSON
from models import Draft, ModelRegistry
from models.blends import Blender, Source
from models.inference import PrefixMemory
from models.inference.stream import CHUNK_SECONDS, FIRST_CHUNK
from models.profanity import ProfanityFilter
from tests.harness.clock import Clock

PLAIN = GenerateRequest(count=500)


def source_of(reference: str) -> Source:
    """Return as much of a source as the cost model reads."""
    return cast(Source, SimpleNamespace(reference=reference, generator=SimpleNamespace(multiply_adds=10_000)))


@pytest.fixture
def learned() -> CostModel:
    """A cost model that knows a/mlp@1: a thousand candidates take the time of a chunk."""
    model = CostModel()
    for _ in range(3000):
        model.update(PLAIN, source_of("a/mlp@1"), 1000, 1000, CHUNK_SECONDS)
    return model


def test_first_chunk_is_small_until_the_model_is_measured(learned: CostModel) -> None:
    assert CostModel().first_chunk(PLAIN, source_of("a/mlp@1")) == FIRST_CHUNK
    assert learned.first_chunk(PLAIN, source_of("a/mlp@1")) == pytest.approx(1000, abs=1)
    assert learned.first_chunk(PLAIN, source_of("a/mlp@2")) == FIRST_CHUNK


@pytest.mark.parametrize("more", [{"contains": "a"}, {"novel": True}, {"details": True}, {"temperature": 0.1}], ids=str)
def test_first_chunk_is_small_for_costly_candidates(learned: CostModel, more: dict[str, Any]) -> None:
    assert learned.first_chunk(GenerateRequest(count=500, **more), source_of("a/mlp@1")) == FIRST_CHUNK


def test_first_chunk_never_shrinks_below_the_default(learned: CostModel) -> None:
    for _ in range(3000):
        learned.update(PLAIN, source_of("a/mlp@1"), 1, 1, CHUNK_SECONDS)
    assert learned.first_chunk(PLAIN, source_of("a/mlp@1")) == FIRST_CHUNK


def test_learnt_speed_counts_only_so_far_on_the_event_loop() -> None:
    """Requests that find all their prefixes in the cache say nothing about the next one."""
    model, source = CostModel(1e9), source_of("a/mlp@1")
    prior = model.speed(source)
    assert model.inline_speed(source) == prior
    for speed, expected in ((2 * prior, 2 * prior), (100 * prior, MAX_CACHE_GAIN * prior), (prior / 9, prior / 9)):
        for _ in range(3000):
            model.update(PLAIN, source, 1000, 1000, 1000 * NAME_LENGTH / speed)
        assert model.inline_speed(source) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("speed", [1e9, 3e10])
def test_unknown_model_costs_its_multiply_adds(speed: float) -> None:
    seconds = CostModel(speed).seconds(GenerateRequest(count=95), source_of("a/mlp@1"), 10**6)
    assert seconds == pytest.approx(100 * NAME_LENGTH * 10_000 / speed)


@pytest.mark.parametrize("multiply_adds", [10, 10**15])
def test_measured_speed_is_half_of_the_fastest_run(multiply_adds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is at least SLOWEST_MULTIPLY_ADDS."""
    clock, durations = Clock(), iter((0.5, 0.25, 1.0))

    def draw(*arguments: object) -> None:
        clock.now += next(durations)

    generator = SimpleNamespace(multiply_adds=multiply_adds, prepare=lambda constraints: SimpleNamespace(draw=draw))

    monkeypatch.setattr(cost_model, "time", SimpleNamespace(perf_counter=clock))
    measured = measure_multiply_adds(cast(Any, generator))
    half = TEST_CANDIDATES * NAME_LENGTH * multiply_adds / 0.25 / 2
    assert measured == pytest.approx(max(SLOWEST_MULTIPLY_ADDS, half))
    assert list(durations) == []
    assert TEST_RUNS == 3


def test_speed_of_a_real_generator_is_measured(registry: ModelRegistry, elf_draft: Draft) -> None:
    registry.publish(elf_draft)
    assert measure_multiply_adds(registry.versions()[0].generator) >= SLOWEST_MULTIPLY_ADDS


@pytest.fixture
def job_of(registry: ModelRegistry, elf_draft: Draft) -> Callable[..., GenerateJob]:
    """Return what makes a job of 600 names."""
    registry.publish(elf_draft)
    source = SourceResolver(registry, Blender(registry.kernels)).find("elves", None)
    samplers = SamplerCache(ProfanityFilter.load(registry.kernels.find))

    def make(first_chunk: int = FIRST_CHUNK, **fields: Any) -> GenerateJob:
        request = GenerateRequest(dataset="elves", count=600, seed=1, unique=False, **fields)
        return GenerateJob(request, source, 5000, PrefixMemory(2**20), samplers, first_chunk=first_chunk)

    return make


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("first", [FIRST_CHUNK, 1000])
def test_last_chunk_is_the_answer(job_of: Callable[..., GenerateJob], first: int, details: bool) -> None:
    job, chunks, attempts = job_of(first, details=details), [], []
    while not job.finished:
        chunks.append(job.next_chunk())
        attempts.append(job.stream.attempts)
    assert details or attempts[0] == min(first, 600)
    assert chunks[:-1] == [b""] * (len(chunks) - 1)
    assert len(json.loads(chunks[-1])["names"]) == 600


@pytest.mark.parametrize("details", [False, True])
def test_stopped_job_answers_with_what_it_has(job_of: Callable[..., GenerateJob], details: bool) -> None:
    job = job_of(details=details)
    job.next_chunk()
    attempts = job.stream.attempts
    job.stop()
    while not job.finished:
        chunk = job.next_chunk()
    assert job.stream.attempts == attempts
    answer = json.loads(chunk)
    assert (len(answer["names"]), answer["complete"]) == (job.stream.names, False)
    assert 0 < job.stream.names < 600


def test_scored_characters_are_charged(job_of: Callable[..., GenerateJob]) -> None:
    job = job_of(details=True)
    while not job.finished:
        chunk = job.next_chunk()
    scored = sum(len(name["name"]) + 1 for name in json.loads(chunk)["names"])
    assert job.charged == job.stream.characters + SCORED_CHARACTER_COST * scored


@pytest.mark.parametrize("kind", [GenerateJob, StreamJob])
@pytest.mark.parametrize("safe", [True, False])
def test_answer_that_falls_short_because_of_safe_says_so(
    registry: ModelRegistry, elf_draft: Draft, tmp_path: Path, kind: type[GenerateJob] | type[StreamJob], safe: bool
) -> None:
    registry.publish(elf_draft)
    source = SourceResolver(registry, Blender(registry.kernels)).find("elves", None)
    unsafe = tmp_path / "unsafe.txt"
    unsafe.write_text("kalo\n", "utf-8")
    samplers = SamplerCache(ProfanityFilter.load(registry.kernels.find, unsafe_words=unsafe))
    request = GenerateRequest(dataset="elves", count=30, seed=1, unique=False, prefix="kalo", safe=safe)
    job = kind(request, source, 5000, PrefixMemory(0), samplers, JSON if kind is GenerateJob else NDJSON)
    text = b""
    while not job.finished:
        text = job.next_chunk() or text
    answer = json.loads(text.splitlines()[-1])
    answer = answer.get("end", answer)
    assert answer["complete"] is not safe
    if safe:
        rejected = answer["refused"]["safe"]
        assert answer["note"].startswith(f"safe rejected {rejected} candidates")
        assert "up to 30 of the 30 missing names" in answer["note"]
    else:
        assert "note" not in answer


def test_answer_that_falls_short_for_other_reasons_has_no_note(job_of: Callable[..., GenerateJob]) -> None:
    job = job_of(max_length=1)
    while not job.finished:
        chunk = job.next_chunk()
    answer = json.loads(chunk)
    assert (answer["complete"], answer["refused"]["safe"]) == (False, 0)
    assert "note" not in answer
