"""The release: everything that ships is trained, compared, and published best first, or not at all."""

from dataclasses import replace

import pytest
import torch

from models import Kernels, ModelConfig, ModelRegistry
from training.errors import TrainingError
from training.release import release_all
from training.run import Job, Outcome, Watch, run

SMALL = {
    "wavenet": ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=24),
    "mlp": ModelConfig(architecture="mlp", block_size=2, n_embd=2, n_hidden=4),
    "bigram": ModelConfig(architecture="bigram", block_size=1),
}


def run_small(job: Job, smoothing: float) -> Outcome:
    """The job on 300 of its names and a small network: the wavenet for long, the mlp for a short while."""
    steps = {"wavenet": 80, "mlp": 25, "bigram": 0}[job.preset]
    changes = {"model": SMALL[job.preset], "steps": steps, "eval_every": 20, "batch_size": 64, "smoothing": smoothing}
    changes |= {"learning_rate": 0.02, "weight_decay": 0.0}
    small = replace(job, corpus=replace(job.corpus, names=job.corpus.names[:300]))
    small = replace(small, config=job.config.model_copy(update=changes))
    return run(small, Watch(lambda step: None, lambda: False, lambda: 0.0))


def test_everything_is_published_best_first_with_its_comparison(registry: ModelRegistry, kernels: Kernels) -> None:
    """Both data sets get all three architectures, wavenet as default, and cards with gap and standard error."""
    lines: list[str] = []
    cpu = torch.device("cpu")
    manifests = release_all(registry, kernels, cpu, lambda job: run_small(job, 1000.0), lines.append)
    expected = [f"{d}/{a}@1" for d in ("human", "animal") for a in ("wavenet", "mlp", "bigram")]
    assert [manifest.reference for manifest in manifests] == expected
    assert registry.aliases("human").default == registry.aliases("animal").default == "wavenet@1"
    for dataset, words in (("human", "over the dev names"), ("animal", "over 5 split seeds")):
        card = registry.resolve(dataset, "wavenet").file("card.md").decode()
        assert "better than `mlp` by" in card
        assert "standard error" in card
        assert words in card
    assert "Over 5 split seeds" in registry.resolve("animal", "bigram").file("card.md").decode()
    assert registry.resolve("animal", "mlp").manifest.data.split_seed == 42
    assert any("split seed 46" in line for line in lines)


def test_a_model_that_does_not_beat_the_simpler_one_stops_the_release(
    registry: ModelRegistry, kernels: Kernels
) -> None:
    """An mlp that was hardly trained loses to a fair bigram: the release ends, and nothing was published."""
    with pytest.raises(TrainingError, match="mlp does not beat bigram"):
        release_all(registry, kernels, torch.device("cpu"), lambda job: run_small(job, 0.1), lambda line: None)
    assert registry.datasets() == []
