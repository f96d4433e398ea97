"""The release: all shipped models are trained, compared and published together, or not at all."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from models import Kernels, ModelConfig, ModelRegistry
from tests.training.conftest import BIGRAM
from training.config import load_config
from training.corpus import Corpus
from training.errors import TrainingError
from training.kneser_ney import KneserNey
from training.release import PRESETS, Comparison, ReleaseContext, gap_to_counts, release_all
from training.run import Job, RunCallbacks, RunResult, run

LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=4, n_hidden=32)
CPU = torch.device("cpu")
SMALL = {
    "bigram": BIGRAM,
    "mlp": ModelConfig(architecture="mlp", block_size=2, n_embd=2, n_hidden=4),
    "wavenet": ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=24),
    "gated_wavenet": ModelConfig(architecture="gated_wavenet", block_size=4, n_embd=8, n_hidden=16),
    "lstm": LSTM,
    "lstm-student": LSTM,
}
STEPS = {"bigram": 0, "mlp": 10, "wavenet": 30, "gated_wavenet": 40, "lstm": 60, "lstm-student": 90}


def run_small(job: Job, smoothing: float) -> RunResult:
    """The job on 300 names and small networks, the simpler ones with fewer steps."""
    changes = {"model": SMALL[job.preset], "steps": STEPS[job.preset], "eval_every": 25, "batch_size": 64}
    changes |= {"learning_rate": 0.02, "weight_decay": 0.0, "smoothing": smoothing}
    small = replace(job, corpus=replace(job.corpus, names=job.corpus.names[:300]))
    small = replace(small, config=job.config.model_copy(update=changes))
    return run(small, RunCallbacks(lambda step: None, lambda: False, lambda: 0.0))


def context(kernels: Kernels, smoothing: float, log: Callable[[str], None]) -> ReleaseContext:
    """A release of small models."""
    return ReleaseContext(
        lambda job: run_small(job, smoothing), log, CPU, kernels, samples=200, diagnostic_steps=10, sample_count=300
    )


@pytest.mark.slow
def test_release_publishes_every_model_with_its_comparison(registry: ModelRegistry, kernels: Kernels) -> None:
    lines: list[str] = []
    manifests = release_all(registry, context(kernels, 1000.0, lines.append))
    models = ["bigram@1", "mlp@1", "wavenet@1", "gated_wavenet@1", "lstm@1", "lstm@2", "lstm@3"]
    assert [m.reference for m in manifests] == [f"{d}/{model}" for d in ("human", "animal") for model in models]
    assert all("updates.png" in m.files for m in manifests)
    assert registry.aliases("human").default == registry.aliases("animal").default == "lstm@3"
    reasons = {reason.alias: reason.reason for reason in registry.reasons()}
    assert all("that taught it has" in reasons[f"{dataset} default"] for dataset in ("human", "animal"))
    for dataset, words in (("human", "over the dev names"), ("animal", "over 5 split seeds")):
        card = registry.resolve(dataset, "wavenet").file("card.md").decode()
        for text in ("better than `mlp` by", "standard error", words, "Kneser-Ney of order 6", "drawn (200)"):
            assert text in card
    assert "Over 5 split seeds" in registry.resolve("animal", "bigram").file("card.md").decode()
    assert registry.resolve("animal", "mlp").manifest.data.split_seed == 42
    assert any("split seed 46" in line for line in lines)
    start = registry.resolve("animal", "lstm@1").manifest.training["start"]
    assert start == "an lstm of words spelled like animal names, and none of them"
    assert registry.resolve("human", "lstm@1").manifest.training.get("start") is None
    taught = registry.resolve("human", "lstm@2")
    assert (
        taught.manifest.training["teachers"]
        == "the human/lstm of the same release, the human/gated_wavenet of the same release"
    )
    assert "It learned the predictions of its teachers" in taught.file("card.md").decode()
    default = registry.resolve("human")
    assert default.manifest.training == {**taught.manifest.training, "quantized": "human/lstm@2"}
    assert (taught.manifest.schema_number, default.manifest.schema_number) == (1, 2)
    assert "rounded to 8-bit integers" in default.file("card.md").decode()


def test_model_worse_than_simpler_one_stops_release(registry: ModelRegistry, kernels: Kernels) -> None:
    with pytest.raises(TrainingError, match="mlp does not beat bigram"):
        release_all(registry, context(kernels, 0.1, print))
    assert registry.datasets() == []


def test_every_preset_is_compared_with_an_earlier_one() -> None:
    names = list(PRESETS)
    assert all(simpler in names[: names.index(preset)] for preset, simpler in PRESETS.items() if simpler)


def test_gap_to_counts_is_kneser_ney_loss_minus_model_loss(corpus: Corpus) -> None:
    result = run_small(Job(corpus, load_config("wavenet", "elves", {}), "wavenet", CPU), 1.0)
    dev = corpus.split.dev
    counts = float(KneserNey.fit(corpus.split.train, corpus.vocabulary).name_losses(dev).sum())
    counts /= sum(len(name) + 1 for name in dev)
    assert gap_to_counts(Comparison("wavenet", [result])).mean == pytest.approx(counts - result.losses["dev"], abs=1e-9)
