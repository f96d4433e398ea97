"""`python -m training quantize`: integer versions, what is refused, and commands that need the trained weights."""

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from models import Kernels, ModelConfig, ModelRegistry, Version
from models.kernel.int8.model import has_integers
from tests.training.conftest import invoke, run_cli
from training.config import TrainingConfig, load_config
from training.corpus import Corpus
from training.device import choose_device
from training.diagnostics.diagnose import load_diagnosed
from training.errors import TrainingError
from training.integer_version import quantized_draft
from training.pretrained import load_start, load_teachers
from training.publishing import build_draft, load_network, published_losses
from training.run import Job, RunCallbacks, RunResult, run

LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=24)
WAVENET = ModelConfig(architecture="wavenet", block_size=4, n_embd=4, n_hidden=12)
SAMPLES = 200


def trained(corpus: Corpus, config: ModelConfig) -> RunResult:
    """A short run."""
    settings = TrainingConfig(model=config, batch_size=64, steps=40, eval_every=20, learning_rate=0.02)
    job = Job(corpus, settings, "tiny", choose_device("cpu"))
    return run(job, RunCallbacks(lambda step: None, lambda: False, lambda: 0.0))


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, made_up_names: tuple[str, ...]
) -> tuple[Path, Corpus]:
    """A store with elves/wavenet@1, elves/lstm@1 and the quantised elves/lstm@2, and their list."""
    root = tmp_path_factory.mktemp("elves")
    corpus = Corpus("elves", "Elves", made_up_names[::4], "ab" * 32, 42)
    registry = ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped")
    for config in (WAVENET, LSTM):
        registry.publish(build_draft(trained(corpus, config), kernels, samples=SAMPLES).draft)
    registry.publish(quantized_draft(registry.resolve(None, "elves/lstm@1"), registry, kernels, SAMPLES))
    return root / "user", corpus


@pytest.fixture
def store(published: tuple[Path, Corpus], tmp_path: Path) -> Path:
    """A copy of the store."""
    return shutil.copytree(published[0], tmp_path / "user")


@pytest.fixture
def registry(store: Path, tmp_path: Path, kernels: Kernels) -> ModelRegistry:
    """The copy, opened."""
    return ModelRegistry.open(kernels, user=store, shipped=tmp_path / "shipped")


@pytest.fixture
def integers(registry: ModelRegistry) -> Version:
    """The quantised version."""
    return registry.resolve(None, "elves/lstm@2")


def test_command_publishes_integers_with_measured_losses(
    store: Path, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.commands.versions.quantized_draft", partial(quantized_draft, samples=SAMPLES))
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file() and path.name != "aliases.json"}
    result = run_cli("quantize", "elves/lstm@1", "--store", store)
    assert result.output.endswith("published elves/lstm@3\n")
    registry.refresh()
    source, version = (registry.resolve(None, f"elves/lstm@{number}") for number in (1, 3))
    manifest = version.manifest
    assert (source.manifest.schema_number, manifest.schema_number) == (1, 2)
    assert has_integers(version.arrays())
    assert manifest.training == {**source.manifest.training, "quantized": "elves/lstm@1"}
    assert manifest.metrics == pytest.approx(published_losses(version), abs=1e-12)
    assert manifest.metrics != source.manifest.metrics
    assert manifest.metrics == pytest.approx(source.manifest.metrics, abs=0.002)
    for part in ("train", "dev", "test"):
        line = f"{part}: {source.manifest.metrics[part]:.4f} with floats, {manifest.metrics[part]:.4f} with integers"
        assert line in result.output
    assert {path: path.read_bytes() for path in before} == before
    aliases = registry.aliases("elves")
    assert (aliases.default, aliases.versions["lstm"]) == ("wavenet@1", {"latest": 3, "stable": 1})


def test_card_compares_integers_with_floats_and_counts(integers: Version) -> None:
    card = integers.file("card.md").decode()
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert "Its weights are those of `elves/lstm@1`, rounded to 8-bit integers (model format 2): on dev they" in card
    assert re.search(r"^- On dev it is (better|worse) than `wavenet` by 0\.", card, re.MULTILINE)
    assert "counting (interpolated Kneser-Ney of order 6 on the same split)" in card
    assert len(headings) == len(set(headings))
    assert f"| dev | {integers.manifest.metrics['dev']:.4f} |" in card
    assert f"drawn ({SAMPLES})" in card


def test_evaluate_and_sample_work_with_integers(integers: Version, store: Path) -> None:
    evaluated = run_cli("evaluate", "elves/lstm@2", "--store", store)
    dev = f"{integers.manifest.metrics['dev']:.4f}"
    assert evaluated.output.count(dev) == 2
    sampled = run_cli("sample", "elves/lstm@2", "--count", "3", "--seed", "1", "--store", store)
    names = integers.generator.generate(3, seed=1).names
    assert sampled.stdout == "".join(f"{name.title()}\n" for name in names)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("elves/wavenet@1", "Only an lstm of one layer can be quantised"),
        ("elves/lstm@2", "elves/lstm@2 has integer weights already; name the version that was trained."),
    ],
)
def test_other_versions_are_refused(integers: Version, store: Path, reference: str, words: str) -> None:
    result = invoke("quantize", reference, "--store", store)
    assert result.exit_code == 1
    assert words in result.output
    assert not (store / "elves/lstm/3").exists()
    assert not (store / "elves/wavenet/2").exists()


def test_large_increase_of_the_dev_loss_is_refused(store: Path, registry: ModelRegistry, kernels: Kernels) -> None:
    version = registry.resolve(None, "elves/lstm@1")
    metrics = {**version.manifest.metrics, "dev": version.manifest.metrics["dev"] - 0.01}
    better = replace(version, manifest=version.manifest.model_copy(update={"metrics": metrics}))
    with pytest.raises(TrainingError, match=r"The dev loss would rise by 0\.01.*; at most 0\.002 is allowed"):
        quantized_draft(better, registry, kernels, SAMPLES)


def test_start_and_teacher_follow_integers_to_trained_weights(
    registry: ModelRegistry, published: tuple[Path, Corpus], kernels: Kernels, capsys: pytest.CaptureFixture[str]
) -> None:
    original = load_network(registry.resolve(None, "elves/lstm@1")).state_dict()
    config = load_config("lstm", "dwarves", {})
    start, changed = load_start("elves/lstm", registry, config)
    teachers = load_teachers(["elves/lstm"], registry, published[1], kernels)
    diagnosed = load_diagnosed("elves/lstm", "human", registry)
    assert (start.name, teachers.names, diagnosed.name) == ("elves/lstm@1", ("elves/lstm@1",), "elves/lstm@1")
    assert changed.model.n_hidden == LSTM.n_hidden
    assert diagnosed.network is not None
    for network in (start.network, teachers.networks[0], diagnosed.network):
        assert all(torch.equal(array, original[name]) for name, array in network.state_dict().items())
    line = "elves/lstm@2 has integer weights; the trained ones are those of elves/lstm@1.\n"
    assert capsys.readouterr().err == 3 * line


def test_notebook_and_temperatures_work_with_integers(integers: Version, store: Path) -> None:
    notebook = run_cli("notebook", "elves/lstm", "--count", "20", "--store", store)
    assert "names that differ: 0" in notebook.output
    assert "share of new names" in run_cli("temperatures", "elves/lstm", "--count", "50", "--store", store).output


def test_torch_network_of_integers_is_refused(integers: Version) -> None:
    with pytest.raises(TrainingError, match="elves/lstm@2 has integer weights; give elves/lstm@1"):
        load_network(integers)
