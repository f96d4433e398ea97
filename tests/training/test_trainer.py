"""The loop that learns: it learns, repeats itself, keeps its best weights, and stops when it should."""

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from models import ModelConfig, Vocabulary
from models.networks import bigram_by_counting, build_model
from training.config import TrainingConfig, load_config
from training.corpus import Corpus
from training.dataset import Examples
from training.errors import TrainingError
from training.evaluation import mean_loss
from training.new_trainer import new_trainer
from training.trainer import Trainer

MakeTrainer = Callable[[TrainingConfig], Trainer]


def least_possible_loss(names: tuple[str, ...]) -> float:
    """The entropy of the next character given everything before it: what learning by heart reaches."""
    prefixes: dict[str, Counter[str]] = {}
    for name in names:
        for i, character in enumerate(f"{name}."):
            prefixes.setdefault(name[:i], Counter())[character] += 1
    total = sum(sum(counts.values()) for counts in prefixes.values())
    return -sum(n * math.log(n / sum(c.values())) for c in prefixes.values() for n in c.values()) / total


@pytest.mark.parametrize("batch", ["names", "windows"])
def test_ten_names_are_learned_by_heart(batch: str, ten_names: tuple[tuple[str, ...], Vocabulary]) -> None:
    """A wavenet that sees eight characters comes within 0.02 nats of the entropy that ten names leave."""
    names, vocabulary = ten_names
    config = TrainingConfig(
        model=ModelConfig(architecture="wavenet", block_size=8, n_embd=8, n_hidden=32),
        batch=batch,
        batch_size=10 if batch == "names" else 60,
        steps=300,
        eval_every=50,
        learning_rate=0.02,
    )
    generator = torch.Generator().manual_seed(1)
    examples = Examples.of(names, vocabulary)
    network = build_model(config.model, len(vocabulary), generator)
    untrained = mean_loss(network, examples)
    for _ in Trainer(network, config, examples, examples, generator).fit():
        pass
    floor = least_possible_loss(names)
    assert untrained > 2
    assert floor - 1e-6 <= mean_loss(network, examples) < floor + 0.02


def test_same_seed_same_curve_and_weights(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    """Two runs of one seed agree in every loss and every weight; another seed does not."""
    first, second = make_trainer(tiny_config), make_trainer(tiny_config)
    other = make_trainer(tiny_config.model_copy(update={"seed": 4}))
    curves = [[step.loss for step in trainer.fit()] for trainer in (first, second, other)]
    assert len(curves[0]) == 12
    assert curves[0] == curves[1] != curves[2]
    mine, theirs = first.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("batch", ["names", "windows"])
def test_a_run_put_back_after_any_step_ends_with_the_same_bits(
    batch: str, optimizer: str, make_trainer: MakeTrainer, tiny_config: TrainingConfig
) -> None:
    """The state taken after step k, in a fresh trainer, leads to the weights and history of an unbroken run."""
    config = tiny_config.model_copy(update={"batch": batch, "optimizer": optimizer, "patience": 5})
    whole = make_trainer(config)
    states = [whole.state()]
    for _ in whole.fit():
        states.append(whole.state())
    for k in (0, 4, 5, 7, 12):
        resumed = make_trainer(config)
        resumed.load_state(states[k])
        steps = [step.step for step in resumed.fit()]
        assert steps == list(range(k + 1, 13))
        assert resumed.history == whole.history
        final = resumed.network.state_dict()
        assert all(torch.equal(tensor, final[name]) for name, tensor in whole.network.state_dict().items())


def test_the_best_weights_are_kept(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    """After a run that ends badly the network is the one of the lowest dev loss, measured again."""
    config = tiny_config.model_copy(update={"learning_rate": 1.0, "schedule": "constant", "steps": 40, "eval_every": 2})
    trainer = make_trainer(config)
    dev = [step.dev_loss for step in trainer.fit() if step.dev_loss is not None]
    assert len(dev) == 20
    assert dev[-1] > min(dev)
    assert mean_loss(trainer.network, trainer.dev) == pytest.approx(min(dev), abs=1e-9)
    assert dict(trainer.history.dev)[trainer.best_step] == min(dev)


def test_patience_ends_a_run_that_no_longer_gets_better(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    """The run stops right after `patience` dev losses without a new best."""
    config = tiny_config.model_copy(
        update={"learning_rate": 1.0, "schedule": "constant", "steps": 4000, "eval_every": 2, "patience": 3}
    )
    trainer = make_trainer(config)
    dev = [step.dev_loss for step in trainer.fit() if step.dev_loss is not None]
    assert trainer.step < 4000
    assert dev.index(min(dev)) == len(dev) - 4


def test_a_loss_that_is_no_number_ends_the_run(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    """Steps far too large end in one line that names the learning rate, not in weights of NaN."""
    bigram = ModelConfig(architecture="bigram", block_size=1)
    far = {"model": bigram, "optimizer": "sgd", "learning_rate": 1000.0, "l2": 100.0, "steps": 60}
    trainer = make_trainer(tiny_config.model_copy(update=far))
    with pytest.raises(TrainingError, match="Lower --learning-rate"):
        list(trainer.fit())


def test_descending_meets_counting(make_trainer: MakeTrainer, corpus: Corpus) -> None:
    """The bigram by gradient descent reaches the loss that counting (next to no smoothing) proves to be the lowest."""
    bigram = ModelConfig(architecture="bigram", block_size=1)
    config = TrainingConfig(model=bigram, batch_size=10_000, steps=300, learning_rate=0.2)
    trainer = make_trainer(config)
    names = corpus.split.train
    trainer.dev = Examples.of(names, corpus.vocabulary)  # the best on the training names is looked for
    list(trainer.fit())
    counted = bigram_by_counting(names, corpus.vocabulary, 1e-9)
    best = mean_loss(counted, trainer.dev)
    pairs = Counter(pair for name in names for pair in pairwise(f".{name}."))
    firsts = Counter(pair[0] for pair in pairs.elements())
    by_hand = -sum(n * math.log(n / firsts[pair[0]]) for pair, n in pairs.items()) / pairs.total()
    assert best == pytest.approx(by_hand, abs=1e-5)
    assert by_hand - 1e-5 < mean_loss(trainer.network, trainer.dev) < by_hand + 0.003


def test_l2_pulls_the_table_to_the_even_one(make_trainer: MakeTrainer) -> None:
    """A stronger penalty leaves smaller weights, as more smoothing does."""
    bigram = ModelConfig(architecture="bigram", block_size=1)
    norms = []
    for l2 in (0.0, 0.1, 10.0):
        config = TrainingConfig(model=bigram, batch_size=10_000, steps=100, learning_rate=0.2, l2=l2)
        trainer = make_trainer(config)
        list(trainer.fit())
        norms.append(float(trainer.network.state_dict()["embedding.weight"].square().mean()))
    assert norms[0] > 2 * norms[1] > 4 * norms[2]


def test_the_preset_fast_ends_soon_on_a_short_list(corpus: Corpus) -> None:
    """On 250 names it ends long before its steps are made, with the best weights; on a long list there are too few dev
    losses for that ever to happen.
    """
    config = load_config("fast", "elves", {"n_hidden": 64})
    trainer = new_trainer(config, corpus, torch.device("cpu"))
    for _ in trainer.fit():
        pass
    assert trainer.step < config.steps / 2
    assert trainer.step == trainer.best_step + config.patience * trainer.eval_every
    assert config.steps / (0.8 * 30_000 / config.batch_size) < config.patience
