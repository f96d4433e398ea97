"""The release: the models of one list are trained, compared with counts, and published together or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data import CATALOG
from models import Kernels, ModelConfig, ModelRegistry
from tests.training.conftest import BIGRAM
from training.config import load_config
from training.corpus import Corpus
from training.errors import TrainingError
from training.kneser_ney import KneserNey
from training.release import BIGRAM as COUNTED
from training.release import STUDENT, TEACHER, ReleaseContext, gap_to_counts, release
from training.release import _start as begin
from training.run import Job, RunCallbacks, RunResult, run

LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=4, n_hidden=32)
CPU = torch.device("cpu")
SMALL = {COUNTED: BIGRAM, TEACHER: LSTM, STUDENT: LSTM}


def run_small(job: Job, steps: int) -> RunResult:
    """The job on 300 names and a small network; its result says that it is of the whole list."""
    changes = {"model": SMALL[job.preset], "steps": steps, "eval_every": 25, "batch_size": 64}
    changes |= {"learning_rate": 0.02, "weight_decay": 0.0}
    small = replace(job, corpus=replace(job.corpus, names=job.corpus.names[:300]))
    if job.distillation is not None:
        small = replace(small, distillation=replace(job.distillation, sample_count=300))
    small = replace(small, config=job.config.model_copy(update=changes))
    return run(small, RunCallbacks(lambda step: None, lambda: False, lambda: 0.0))


def context(kernels: Kernels, steps: int, log: Callable[[str], None]) -> ReleaseContext:
    """A release of small models."""
    return ReleaseContext(lambda job: run_small(job, steps), log, CPU, kernels, samples=200)


@pytest.fixture
def trained(tmp_path: Path, kernels: Kernels) -> ModelRegistry:
    """An empty store for trained networks."""
    return ModelRegistry.open(kernels, user=tmp_path / "trained", shipped=tmp_path / "shipped")


def test_release_publishes_bigram_floats_and_integers(
    registry: ModelRegistry, trained: ModelRegistry, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr("training.release._is_of", lambda manifest, job: manifest.training["preset"] == job.preset)
    manifests = release("japanese", registry, trained, context(kernels, 150, lines.append))
    assert [m.reference for m in manifests] == [f"japanese/{model}" for model in ("bigram@1", "lstm@1", "lstm@2")]
    assert registry.aliases("japanese").default == "lstm@2"
    floats, integers = registry.resolve(None, "japanese/lstm@1"), registry.resolve("japanese")
    assert floats.manifest.training["teachers"] == "a large lstm of the same list"
    assert integers.manifest.training == {**floats.manifest.training, "quantized": floats.reference}
    for text in ("Kneser-Ney of order 6", "standard error", "drawn (200)"):
        assert text in integers.file("card.md").decode()
    assert "better than counting" in floats.file("card.md").decode()
    assert any(line.startswith("japanese lstm-student: train") for line in lines)
    # A second release takes the networks of the first.
    release("japanese", registry, trained, context(kernels, 150, lines.append))
    assert sum(line.startswith("japanese lstm:") for line in lines) == 1
    assert [version.reference for version in trained.versions()] == ["japanese/lstm@1", "japanese/lstm@2"]
    assert registry.aliases("japanese").default == "lstm@4"


def test_model_worse_than_counts_stops_release(
    registry: ModelRegistry, trained: ModelRegistry, kernels: Kernels
) -> None:
    with pytest.raises(TrainingError, match="release of japanese stops: lstm-student does not beat counts"):
        release("japanese", registry, trained, context(kernels, 2, print))
    assert registry.datasets() == []


def test_gap_to_counts_is_kneser_ney_loss_minus_model_loss(corpus: Corpus) -> None:
    result = run_small(Job(corpus, load_config(TEACHER, "elves", {}), TEACHER, CPU), 30)
    small = result.job.corpus
    counts = float(KneserNey.fit(small.split.train, small.vocabulary).name_losses(small.split.dev).sum())
    counts /= sum(len(name) + 1 for name in small.split.dev)
    assert gap_to_counts(result.network, small.split, small.vocabulary).mean == pytest.approx(
        counts - result.losses["dev"], abs=1e-6
    )


def test_short_list_starts_from_similar_words(kernels: Kernels) -> None:
    start = begin(context(kernels, 2, print))
    assert start.name == "an lstm of words spelled like animal names, and none of them"
    assert not start.names & set(CATALOG["animal"].file.read_text().splitlines())
