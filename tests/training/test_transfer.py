"""Transfer from another list's network, ensembles, and distillation from published versions."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import Draft, Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.networks import Network, build_model
from tests.training.conftest import BIGRAM, run_cli
from training.config import TrainingConfig, load_config
from training.corpus import Corpus
from training.dataset import Examples
from training.distillation import (
    Ensemble,
    SoftTargetBatches,
    SoftTargetRows,
    label_names,
    names_to_sample,
    sample_names,
    teacher_generator,
)
from training.errors import Interrupted, TrainingError
from training.evaluation import mean_loss, name_losses
from training.pretrained import count_leaked_names, load_start, load_teachers, unknown_characters_warning
from training.run import Distillation, Job, RunCallbacks, run
from training.trainer import Trainer
from training.transfer import WarmStart, copy_weights

LSTM = ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=10)
CPU = torch.device("cpu")


def lstm_of(vocabulary: Vocabulary, seed: int) -> Network:
    return build_model(LSTM, len(vocabulary), torch.Generator().manual_seed(seed))


def start_of(alphabet: str, config: ModelConfig = LSTM) -> WarmStart:
    """A start with an untrained network over `alphabet`."""
    vocabulary = Vocabulary.of([alphabet])
    network = build_model(config, len(vocabulary), torch.Generator().manual_seed(3))
    network.state_dict()["output.bias" if "output.bias" in network.state_dict() else "embedding.weight"].normal_()
    return WarmStart("elves/lstm@1", network, vocabulary, frozenset({"abba", "cab"}))


def test_shared_characters_keep_logits_new_ones_random_weights() -> None:
    start, vocabulary = start_of("abcxy"), Vocabulary.of(["zcba"])
    fresh, network = lstm_of(vocabulary, 4), lstm_of(vocabulary, 4)
    copy_weights(network, vocabulary, start)
    positions = torch.arange(4)
    old, new = (torch.tensor([0, *v.encode("cab")]) for v in (start.vocabulary, vocabulary))
    theirs, ours = start.network.names(old, positions), network.names(new, positions)
    torch.testing.assert_close(ours[:, 0], theirs[:, 0])
    for character in ("a", "b", "c"):
        i, j = (v.encode(character)[0] for v in (start.vocabulary, vocabulary))
        torch.testing.assert_close(ours[:, j], theirs[:, i])
    z = vocabulary.encode("z")[0]
    a, b = fresh.state_dict(), network.state_dict()
    assert torch.equal(a["embedding.weight"][z], b["embedding.weight"][z])
    assert torch.equal(a["output.weight"][:, z], b["output.weight"][:, z])
    assert not torch.equal(a["lstm0.hidden"], b["lstm0.hidden"])


@pytest.mark.parametrize("config", [LSTM.model_copy(update={"n_hidden": 9}), ModelConfig(architecture="mlp"), BIGRAM])
def test_start_of_another_shape_or_bigram_is_rejected(config: ModelConfig) -> None:
    network = build_model(config, 4, torch.Generator())
    start = start_of("abc", config if config.architecture == "bigram" else LSTM)
    with pytest.raises(TrainingError, match="cannot be started from"):
        copy_weights(network, Vocabulary.of(["abc"]), start)


def test_run_begins_with_weights_of_its_start(corpus: Corpus) -> None:
    config = TrainingConfig(model=LSTM, steps=1, batch_size=8, learning_rate=1e-9)
    start = start_of("".join(sorted(set("".join(corpus.names)))))
    callbacks = RunCallbacks(lambda _: None, lambda: False, lambda: 0.0)
    result = run(Job(corpus, config, "lstm", CPU, start=start), callbacks)
    state = result.network.state_dict()
    for name, array in start.network.state_dict().items():
        torch.testing.assert_close(state[name], array, atol=1e-6, rtol=0)
    assert result.job.origin() == {"start": "elves/lstm@1"}


def test_start_replaces_shape_of_preset(elves: ModelRegistry, elf_draft: Draft) -> None:
    config = load_config("wavenet", "dwarves", {})
    start, changed = load_start("elves/wavenet", elves, config)
    assert changed.model == elf_draft.config != config.model
    assert start.names == frozenset(elf_draft.names)
    with pytest.raises(TrainingError, match="allowed: a preset of the architecture wavenet"):
        load_start("elves", elves, load_config("mlp", "dwarves", {}))


def test_teachers_of_another_list_or_split_are_rejected(
    elves: ModelRegistry, corpus: Corpus, elf_corpus: Corpus, kernels: Kernels
) -> None:
    assert load_teachers(["elves/wavenet@1"], elves, elf_corpus, kernels).names == ("elves/wavenet@1",)
    for other in (corpus, replace(elf_corpus, split_seed=43)):
        with pytest.raises(TrainingError, match="it has seen other dev names"):
            load_teachers(["elves"], elves, other, kernels)


def test_dev_and_test_names_seen_by_start_are_counted(corpus: Corpus) -> None:
    split = corpus.split
    start = replace(start_of("abc"), names=frozenset({*split.train[:9], *split.dev[:2], split.test[0], "nobody"}))
    assert count_leaked_names(start, corpus) == 3


@pytest.mark.parametrize(
    ("known", "words"), [("abc", ""), ("ab", ""), ("a", "only 1 of the 4"), ("xy", "none of the 4")]
)
def test_start_with_few_shared_characters_is_warned_of(corpus: Corpus, known: str, words: str) -> None:
    line = unknown_characters_warning(start_of(known), replace(corpus, names=("abcd", "dabba")))
    assert bool(line) == bool(words)
    assert words in line
    assert "\n" not in line


def test_warning_about_start_goes_to_stderr(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join(map("".join, itertools.product("ибанк", repeat=3))), "utf-8")
    given = ["--data", path, "--name", "cities", "--preset", "wavenet", "--steps", "2", "--dry-run"]
    result = run_cli("train", *given, "--start", "human/wavenet", "--store", tmp_path / "store")
    assert result.stderr.startswith("Warning: human/wavenet@")
    assert "knows none of the 5 characters of this list" in result.stderr
    assert "Warning" not in result.stdout


@pytest.fixture
def vocabulary(made_up_names: tuple[str, ...]) -> Vocabulary:
    return Vocabulary.of(made_up_names)


@pytest.fixture
def ensemble(vocabulary: Vocabulary) -> Ensemble:
    """Three untrained networks with large logits."""
    members = [lstm_of(vocabulary, seed) for seed in range(3)]
    for member in members:
        member.state_dict()["output.weight"].mul_(5)
    return Ensemble(members)


def test_ensemble_averages_probabilities_of_members(ensemble: Ensemble, vocabulary: Vocabulary) -> None:
    examples = Examples.of(("kaloren", "tu", "velorne"), vocabulary)
    ids, positions = examples.rows.ids, examples.rows.positions
    each = [torch.softmax(member.names(ids, positions), 1) for member in ensemble.members]
    torch.testing.assert_close(torch.softmax(ensemble.names(ids, positions), 1), torch.stack(each).mean(0))
    losses = torch.stack([name_losses(member, examples) for member in ensemble.members])
    assert (name_losses(ensemble, examples) <= losses.mean(0)).all()
    assert ensemble.parameter_count == 3 * ensemble.members[0].parameter_count


def test_labels_match_their_rows_in_every_batch(ensemble: Ensemble, vocabulary: Vocabulary) -> None:
    names = ("kaloren", "tu", "velorne", "mi", "sha", "dri") * 200
    batches = SoftTargetBatches(label_names(names, vocabulary, ensemble), 100, torch.Generator().manual_seed(1))
    labelled = 0
    for _ in range(len(batches)):
        batch = batches.draw()
        assert isinstance(batch, SoftTargetRows)
        expected = torch.softmax(ensemble.names(batch.rows.ids, batch.rows.positions), 1)
        torch.testing.assert_close(batch.targets, expected)
        labelled += len(batch.targets)
    assert labelled == sum(len(name) + 1 for name in names)


def divergence(student: Network, ensemble: Ensemble, examples: Examples) -> float:
    """The mean Kullback-Leibler divergence from the teachers to the student, in nats per character."""
    rows = examples.rows
    soft_targets = torch.softmax(ensemble.names(rows.ids, rows.positions), 1)
    student.eval()
    with torch.no_grad():
        own = torch.log_softmax(student.names(rows.ids, rows.positions), 1)
    return float((soft_targets * (soft_targets.log() - own)).sum(1).mean())


def test_sampled_names_are_reproducible_and_short(ensemble: Ensemble, vocabulary: Vocabulary, kernels: Kernels) -> None:
    names, again = (
        sample_names(teacher_generator(ensemble.members[0], vocabulary, 10, kernels), 3000, seed=4) for _ in range(2)
    )
    assert names == again
    assert len(names) == 3000
    assert max(map(len, names)) <= 10


def test_student_nears_teachers_on_unseen_names(ensemble: Ensemble, vocabulary: Vocabulary, kernels: Kernels) -> None:
    first, second = (teacher_generator(each, vocabulary, 10, kernels) for each in ensemble.members[:2])
    soft_targets = label_names(sample_names(first, 3000, seed=4), vocabulary, ensemble)
    unseen = Examples.of(sample_names(second, 300, seed=5), vocabulary)
    config = TrainingConfig(model=LSTM, batch_size=64, passes=10, learning_rate=0.02)
    student = lstm_of(vocabulary, 9)
    before = divergence(student, ensemble, unseen)
    generator = torch.Generator().manual_seed(1)
    batches = SoftTargetBatches(soft_targets, 64, generator)
    list(Trainer(student, config, soft_targets.examples, unseen, generator, batches=batches).fit())
    assert divergence(student, ensemble, unseen) < before / 4
    assert mean_loss(student, unseen) == pytest.approx(mean_loss(ensemble, unseen), abs=0.1)


def test_short_lists_get_twenty_samples_for_each_name(
    elves: ModelRegistry, elf_corpus: Corpus, kernels: Kernels
) -> None:
    assert [names_to_sample(names) for names in (29_619, 3_323, 2_000, 250)] == [40_000, 40_000, 40_000, 5_000]
    assert len(elf_corpus.names) == 250
    assert load_teachers(["elves/wavenet"], elves, elf_corpus, kernels).sample_count == 5_000


def test_labelling_reports_progress_and_can_be_stopped(corpus: Corpus, kernels: Kernels) -> None:
    network = lstm_of(corpus.vocabulary, 1)
    network.eval()
    config = TrainingConfig(model=LSTM, batch_size=16, steps=1)
    job = Job(corpus, config, "tiny", CPU, Distillation(("it",), (network,), kernels, 2000))
    progress: list[tuple[str, int, int]] = []

    def callbacks(is_stopped: Callable[[], bool]) -> RunCallbacks:
        return RunCallbacks(lambda step: None, is_stopped, lambda: 0.0, on_progress=lambda *done: progress.append(done))

    run(job, callbacks(lambda: False))
    names = len(corpus.split.train) + 2000
    labelling = [event for event in progress if event[0] == "labelling"]
    assert labelling == [("labelling", done, names) for done in (0, 1024, 2048, names)]
    assert progress[-1] == ("losses", len(corpus.names), len(corpus.names))
    progress.clear()
    with pytest.raises(Interrupted, match="before the first step"):
        run(job, callbacks(lambda: len(progress) >= 2))
    assert progress[-1] == ("labelling", 1024, names)
