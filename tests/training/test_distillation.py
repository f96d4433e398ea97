"""Ensembles and distillation: the mean of probabilities, labels in their places, a student that learns from them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from models import Draft, Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.networks import Network, build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.distillation import TaughtBatches, TaughtRows, enough, imagined, lessons
from training.ensemble import Ensemble
from training.errors import Interrupted
from training.evaluation import mean_loss, name_losses
from training.loss import surprise
from training.origins import taught_by
from training.run import Job, Teaching, Watch, run
from training.trainer import Trainer

CONFIG = ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=10)


@pytest.fixture
def teachers(made_up_names: tuple[str, ...]) -> tuple[Ensemble, Vocabulary]:
    """Three networks that nobody trained, with lively logits."""
    vocabulary = Vocabulary.of(made_up_names)
    members = [build_model(CONFIG, len(vocabulary), torch.Generator().manual_seed(seed)) for seed in range(3)]
    for member in members:
        member.state_dict()["output.weight"].mul_(5)
    return Ensemble(members), vocabulary


def test_an_ensemble_answers_with_the_mean_of_its_members(teachers: tuple[Ensemble, Vocabulary]) -> None:
    """The softmax of its logits is the plain mean of the members' softmaxes, and its loss is never above their mean."""
    ensemble, vocabulary = teachers
    examples = Examples.of(("kaloren", "tu", "velorne"), vocabulary)
    rows = examples.rows
    each = [torch.softmax(member.names(rows.ids, rows.positions), 1) for member in ensemble.members]
    ours = torch.softmax(ensemble.names(rows.ids, rows.positions), 1)
    torch.testing.assert_close(ours, torch.stack(each).mean(0))
    losses = torch.stack([name_losses(member, examples) for member in ensemble.members])
    assert (name_losses(ensemble, examples) <= losses.mean(0)).all()
    assert ensemble.parameter_count == 3 * ensemble.members[0].parameter_count


def test_labels_lie_where_their_characters_do(teachers: tuple[Ensemble, Vocabulary]) -> None:
    """In every batch each row's probabilities are what the teachers say there, names in any order."""
    ensemble, vocabulary = teachers
    names = ("kaloren", "tu", "velorne", "mi", "sha", "dri") * 200
    batches = TaughtBatches(lessons(names, vocabulary, ensemble), 100, torch.Generator().manual_seed(1))
    seen = 0
    for _ in range(len(batches)):
        batch = batches.draw()
        assert isinstance(batch, TaughtRows)
        expected = torch.softmax(ensemble.names(batch.rows.ids, batch.rows.positions), 1)
        torch.testing.assert_close(batch.targets, expected)
        seen += len(batch.targets)
    assert seen == sum(len(name) + 1 for name in names)


def test_the_loss_against_probabilities_is_the_cross_entropy() -> None:
    """With one-hot probabilities it is the loss against characters; with any, torch's cross-entropy."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 5, generator=generator)
    characters = torch.randint(0, 5, (9,), generator=generator)
    one_hot = torch.nn.functional.one_hot(characters, 5).float()
    torch.testing.assert_close(surprise(logits, one_hot), surprise(logits, characters))
    soft = torch.softmax(torch.randn(9, 5, generator=generator), 1)
    expected = torch.nn.functional.cross_entropy(logits, soft, reduction="none")
    torch.testing.assert_close(surprise(logits, soft), expected)


def distance(student: Network, ensemble: Ensemble, examples: Examples) -> float:
    """The mean Kullback-Leibler divergence from the teachers to the student, in nats per character."""
    rows = examples.rows
    taught = torch.softmax(ensemble.names(rows.ids, rows.positions), 1)
    student.eval()
    with torch.no_grad():
        own = torch.log_softmax(student.names(rows.ids, rows.positions), 1)
    return float((taught * (taught.log() - own)).sum(1).mean())


def test_a_student_comes_close_to_its_teachers(teachers: tuple[Ensemble, Vocabulary], kernels: Kernels) -> None:
    """A student that sees only what the teachers invented and said loses most of its distance to them, on names of
    theirs that it never saw; what they invent repeats itself by seed.
    """
    ensemble, vocabulary = teachers
    member = ensemble.members[0]
    names = imagined(member, vocabulary, 10, kernels, 3000, seed=4)
    assert names == imagined(member, vocabulary, 10, kernels, 3000, seed=4)
    assert len(names) == 3000
    assert max(map(len, names)) <= 10
    taught = lessons(names, vocabulary, ensemble)
    config = TrainingConfig(model=CONFIG, batch_size=64, passes=10, learning_rate=0.02)
    student = build_model(CONFIG, len(vocabulary), torch.Generator().manual_seed(9))
    unseen = Examples.of(imagined(ensemble.members[1], vocabulary, 10, kernels, 300, seed=5), vocabulary)
    before = distance(student, ensemble, unseen)
    generator = torch.Generator().manual_seed(1)
    trainer = Trainer(student, config, taught.examples, unseen, generator, batches=TaughtBatches(taught, 64, generator))
    for _ in trainer.fit():
        pass
    assert distance(student, ensemble, unseen) < before / 4
    assert mean_loss(student, unseen) == pytest.approx(mean_loss(ensemble, unseen), abs=0.1)


def test_a_short_list_gets_fewer_imagined_names(
    registry: ModelRegistry, elf_draft: Draft, corpus: Corpus, kernels: Kernels
) -> None:
    """Lists of the size of those that ship keep 40,000, one of 250 names gets twenty a name, and the teachers that
    the command line asks for obey.
    """
    assert [enough(names) for names in (29_619, 3_323, 2_000, 250)] == [40_000, 40_000, 40_000, 5_000]
    registry.publish(elf_draft)
    same = replace(corpus, sha256=elf_draft.data.sha256)
    assert taught_by(["elves/wavenet"], registry, same, kernels).imagined == 20 * len(corpus.names) == 5_000


def test_labelling_says_how_far_it_is_and_can_be_stopped(corpus: Corpus, kernels: Kernels) -> None:
    """The count rises from nothing to all names, those of the list and the imagined ones; a stop request ends it."""
    network = build_model(CONFIG, len(corpus.vocabulary), torch.Generator().manual_seed(1))
    network.eval()
    config = TrainingConfig(model=CONFIG, batch_size=16, steps=1)
    job = Job(corpus, config, "tiny", torch.device("cpu"), Teaching(("it",), (network,), kernels, 2000))
    told: list[tuple[str, int, int]] = []

    def watch(is_stopped: Callable[[], bool]) -> Watch:
        return Watch(
            lambda step: None, is_stopped, lambda: 0.0, count=lambda what, done, total: told.append((what, done, total))
        )

    run(job, watch(lambda: False))
    names = len(corpus.split.train) + 2000
    assert told == [("labelling", done, names) for done in (0, 1024, 2048, names)]
    with pytest.raises(Interrupted, match="before the first step"):
        run(job, watch(lambda: len(told) >= 6))
    assert told[-1] == ("labelling", 1024, names)
