"""Training: batches, optimizers, schedules, the loop itself, and its state on disk."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models import Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.networks import bigram_by_counting, build_model, count_bigrams
from tests.training.conftest import BIGRAM, MakeTrainer, NamesAndVocabulary, equal_states
from training.config import TrainingConfig, load_config
from training.corpus import Corpus
from training.dataset import Examples, NameBatches, WindowBatches
from training.errors import Interrupted, TrainingError
from training.evaluation import mean_loss
from training.optim import SCHEDULES, SGD, AdamW, clip, one_cycle, step_decay
from training.pretrained import add_pretrained
from training.run import Job, RunCallbacks, RunResult, run
from training.run_state import RunState, Saved
from training.trainer import Step, Trainer

LIST = "cd" * 32
ONE = Saved(1, 0.0, {"x": torch.zeros(100)})


def sliding_windows(names: tuple[str, ...], vocabulary: Vocabulary, block_size: int) -> list[tuple[list[int], int]]:
    """The lectures' own loop: a context that slides over each name."""
    pairs = []
    for name in names:
        context = [0] * block_size
        for target in (*vocabulary.encode(name), 0):
            pairs.append((context, target))
            context = [*context[1:], target]
    return pairs


@pytest.mark.parametrize("block_size", [1, 3, 8, 16])
def test_windows_are_those_of_a_sliding_context(ten_names: NamesAndVocabulary, block_size: int) -> None:
    windows = Examples.of(*ten_names).windows(block_size)
    pairs = list(zip(windows.X.tolist(), windows.targets.tolist(), strict=True))
    assert pairs == sliding_windows(*ten_names, block_size)


def test_rows_spell_chosen_names_in_order(ten_names: NamesAndVocabulary) -> None:
    names, vocabulary = ten_names
    chosen = [6, 1, 8, 1]
    rows = Examples.of(names, vocabulary).names_at(torch.tensor(chosen))
    codes = [vocabulary.encode(names[i]) for i in chosen]
    assert rows.targets.tolist() == [c for code in codes for c in (*code, 0)]
    assert rows.ids.tolist() == [c for code in codes for c in (0, *code)]
    assert rows.positions.tolist() == [p for code in codes for p in range(len(code) + 1)]


def test_each_pass_draws_every_name_once_in_a_new_order(ten_names: NamesAndVocabulary) -> None:
    names, vocabulary = ten_names
    batches = NameBatches(Examples.of(names, vocabulary), 4, torch.Generator().manual_seed(0))
    assert len(batches) == 3
    passes = []
    for _ in range(2):
        drawn = [batches.draw() for _ in range(len(batches))]
        assert [int((batch.positions == 0).sum()) for batch in drawn] == [4, 4, 2]
        text = "".join(vocabulary.itos[i] for batch in drawn for i in batch.targets.tolist())
        passes.append(text.rstrip(".").split("."))
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(names)
    assert passes[0] != passes[1]


def test_drawn_windows_are_windows_of_the_list(ten_names: NamesAndVocabulary) -> None:
    batch = WindowBatches(Examples.of(*ten_names), 3, 200, torch.Generator().manual_seed(0)).draw()
    drawn = {(tuple(x), y) for x, y in zip(batch.X.tolist(), batch.targets.tolist(), strict=True)}
    assert drawn <= {(tuple(x), y) for x, y in sliding_windows(*ten_names, 3)}
    assert len(drawn) > 30


def test_batches_continue_from_a_saved_state(ten_names: NamesAndVocabulary) -> None:
    batches, other = (NameBatches(Examples.of(*ten_names), 3, torch.Generator().manual_seed(seed)) for seed in (1, 99))
    batches.draw()
    state = batches.state()
    expected = [batches.draw().targets.tolist() for _ in range(9)]
    other.load_state(state)
    assert [other.draw().targets.tolist() for _ in range(9)] == expected


def gradients_of(parameters: list[Tensor]) -> list[Tensor]:
    """Gradients of a function with curvature, so that later steps depend on earlier ones."""
    loss = sum((p.sin() * (i + 1)).square().sum() for i, p in enumerate(parameters))
    return list(torch.autograd.grad(loss, parameters))


def set_gradients(parameters: list[Tensor]) -> None:
    for parameter, gradient in zip(parameters, gradients_of(parameters), strict=True):
        parameter.grad = gradient


def fresh_parameters() -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in [(7, 5), (5,), (5, 3), (3,)]]


def torch_adamw(parameters: list[Tensor]) -> torch.optim.Optimizer:
    """PyTorch's AdamW with weight decay on matrices only."""
    groups = [{"params": [p], "weight_decay": 0.3 if p.dim() > 1 else 0.0} for p in parameters]
    return torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.99), eps=1e-8)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_optimizer_equals_its_torch_counterpart(kind: str) -> None:
    ours, theirs = fresh_parameters(), fresh_parameters()
    optimizer = SGD(ours) if kind == "sgd" else AdamW(ours, weight_decay=0.3)
    oracle = torch.optim.SGD(theirs, lr=1.0) if kind == "sgd" else torch_adamw(theirs)
    for i in range(30):
        rate = 0.01 / (1 + i)
        optimizer.step(gradients_of(ours), rate)
        for group in oracle.param_groups:
            group["lr"] = rate
        set_gradients(theirs)
        oracle.step()
    assert not torch.allclose(ours[0], fresh_parameters()[0], atol=1e-3)
    for parameter, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_gradient_clipping_equals_that_of_torch(limit: float) -> None:
    parameters = fresh_parameters()
    gradients = gradients_of(parameters)
    set_gradients(parameters)
    clip(gradients, limit)
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    for gradient, parameter in zip(gradients, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedule_factors_are_positive_and_at_most_one(name: str) -> None:
    factors = [SCHEDULES[name](i / 1000) for i in range(1000)]
    assert 0 < min(factors) <= max(factors) == pytest.approx(1.0)


def test_step_decay_drops_to_a_tenth_at_half_time() -> None:
    assert [round(0.1 * step_decay(i / 200), 6) for i in (0, 99, 100, 199)] == [0.1, 0.1, 0.01, 0.01]


def test_one_cycle_rises_for_a_tenth_then_falls_to_near_zero() -> None:
    factors = [one_cycle(i / 1000) for i in range(1000)]
    assert factors.index(max(factors)) == 100
    assert factors[:101] == sorted(factors[:101])
    assert factors[100:] == sorted(factors[100:], reverse=True)
    assert one_cycle(0.55) == pytest.approx(0.5)
    assert factors[-1] < 0.01


def least_possible_loss(names: tuple[str, ...]) -> float:
    """The entropy of the next character given everything before it."""
    prefixes: dict[str, Counter[str]] = {}
    for name in names:
        for i, character in enumerate(f"{name}."):
            prefixes.setdefault(name[:i], Counter())[character] += 1
    total = sum(counts.total() for counts in prefixes.values())
    return -sum(n * math.log(n / c.total()) for c in prefixes.values() for n in c.values()) / total


@pytest.mark.parametrize(("batch", "size"), [("names", 10), ("windows", 60)])
def test_wavenet_memorizes_ten_names(batch: str, size: int, ten_names: NamesAndVocabulary) -> None:
    """The loss ends within 0.02 nats of the entropy that the names leave."""
    model = ModelConfig(architecture="wavenet", block_size=8, n_embd=8, n_hidden=32)
    config = TrainingConfig(model=model, batch=batch, batch_size=size, steps=300, eval_every=50, learning_rate=0.02)
    generator = torch.Generator().manual_seed(1)
    examples = Examples.of(*ten_names)
    network = build_model(model, len(ten_names[1]), generator)
    assert mean_loss(network, examples) > 2
    list(Trainer(network, config, examples, examples, generator).fit())
    floor = least_possible_loss(ten_names[0])
    assert floor - 1e-6 <= mean_loss(network, examples) < floor + 0.02


def test_same_seed_gives_same_losses_and_weights(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    first, second = make_trainer(tiny_config), make_trainer(tiny_config)
    other = make_trainer(tiny_config.model_copy(update={"seed": 4}))
    curves = [[step.loss for step in trainer.fit()] for trainer in (first, second, other)]
    assert len(curves[0]) == 12
    assert curves[0] == curves[1] != curves[2]
    assert equal_states(first.network, second.network)


def test_single_steps_equal_fit(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    whole, single = make_trainer(tiny_config), make_trainer(tiny_config)
    steps = list(whole.fit())
    assert [single.learn(step.learning_rate) for step in steps] == [step.loss for step in steps]
    assert single.history.losses == whole.history.losses


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("batch", ["names", "windows"])
def test_trainer_continues_bitwise_from_state_of_any_step(
    batch: str, optimizer: str, make_trainer: MakeTrainer, tiny_config: TrainingConfig
) -> None:
    config = tiny_config.model_copy(update={"batch": batch, "optimizer": optimizer, "patience": 5})
    whole = make_trainer(config)
    states = [whole.state(), *(whole.state() for _ in whole.fit())]
    for k in (0, 4, 5, 7, 12):
        resumed = make_trainer(config)
        resumed.load_state(states[k])
        assert [step.step for step in resumed.fit()] == list(range(k + 1, 13))
        assert resumed.history == whole.history
        assert equal_states(resumed.network, whole.network)


@pytest.fixture
def diverging_config(tiny_config: TrainingConfig) -> TrainingConfig:
    """Forty steps that overshoot, with a dev loss at every second."""
    return tiny_config.model_copy(update={"learning_rate": 1.0, "schedule": "constant", "steps": 40, "eval_every": 2})


def test_fit_keeps_weights_of_lowest_dev_loss(make_trainer: MakeTrainer, diverging_config: TrainingConfig) -> None:
    trainer = make_trainer(diverging_config)
    dev = [step.dev_loss for step in trainer.fit() if step.dev_loss is not None]
    assert len(dev) == 20
    assert dev[-1] > min(dev)
    assert mean_loss(trainer.network, trainer.dev) == pytest.approx(min(dev), abs=1e-9)
    assert dict(trainer.history.dev)[trainer.best_step] == min(dev)


def test_patience_stops_run_without_improvement(make_trainer: MakeTrainer, diverging_config: TrainingConfig) -> None:
    trainer = make_trainer(diverging_config.model_copy(update={"steps": 4000, "patience": 3}))
    dev = [step.dev_loss for step in trainer.fit() if step.dev_loss is not None]
    assert trainer.step < 4000
    assert dev.index(min(dev)) == len(dev) - 4


def test_non_finite_loss_ends_the_run(make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    far = {"model": BIGRAM, "optimizer": "sgd", "learning_rate": 1000.0, "l2": 100.0, "steps": 60}
    with pytest.raises(TrainingError, match="Lower --learning-rate"):
        list(make_trainer(tiny_config.model_copy(update=far)).fit())


def test_bigram_by_descent_reaches_loss_of_counting(make_trainer: MakeTrainer, corpus: Corpus) -> None:
    trainer = make_trainer(TrainingConfig(model=BIGRAM, batch_size=10_000, steps=300, learning_rate=0.2))
    names = corpus.split.train
    trainer.dev = Examples.of(names, corpus.vocabulary)  # the best weights on the training names are kept
    list(trainer.fit())
    lowest = mean_loss(bigram_by_counting(names, corpus.vocabulary, 1e-9), trainer.dev)
    assert lowest - 1e-5 < mean_loss(trainer.network, trainer.dev) < lowest + 0.003


def test_stronger_l2_leaves_smaller_weights(make_trainer: MakeTrainer) -> None:
    norms = []
    for l2 in (0.0, 0.1, 10.0):
        trainer = make_trainer(TrainingConfig(model=BIGRAM, batch_size=10_000, steps=100, learning_rate=0.2, l2=l2))
        list(trainer.fit())
        norms.append(float(trainer.network.state_dict()["embedding.weight"].square().mean()))
    assert norms[0] > 2 * norms[1] > 4 * norms[2]


def test_preset_fast_stops_early_on_short_lists_only(make_trainer: MakeTrainer) -> None:
    """A list of 30,000 names has too few dev losses in all its steps for patience to run out."""
    config = load_config("fast", "elves", {"n_hidden": 64})
    trainer = make_trainer(config)
    list(trainer.fit())
    assert trainer.step < config.steps / 2
    assert trainer.step == trainer.best_step + config.patience * trainer.eval_every
    assert config.steps / (0.8 * 30_000 / config.batch_size) < config.patience


@pytest.fixture
def kept(tmp_path: Path, tiny_config: TrainingConfig) -> RunState:
    """The state of a run after its first step."""
    state = RunState(tmp_path, LIST, tiny_config)
    state.save(ONE)
    return state


def test_saved_state_loads_bitwise(tmp_path: Path, make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    trainer = make_trainer(tiny_config)
    steps = trainer.fit()
    for _ in range(7):
        next(steps)
    saved = trainer.state()
    kept = RunState(tmp_path / "elves-tiny", LIST, tiny_config)
    kept.save(ONE)
    kept.save(Saved(7, 1.5, saved))
    loaded = kept.load()
    assert (loaded.step, loaded.seconds, kept.step()) == (7, 1.5, 7)
    assert set(loaded.tensors) == set(saved)
    for name, tensor in saved.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)
    assert sorted(path.name for path in kept.folder.iterdir()) == ["state.json", "step-7.safetensors"]
    kept.remove()
    assert kept.step() is None
    assert not kept.folder.exists()


def test_resume_requires_same_settings_and_list(tmp_path: Path, tiny_config: TrainingConfig) -> None:
    kept = RunState(tmp_path, LIST, tiny_config)
    with pytest.raises(TrainingError, match="leave out --resume"):
        kept.load()
    kept.save(ONE)
    wide = tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"n_hidden": 13}), "seed": 9})
    for state, words in (
        (RunState(tmp_path, LIST, wide), r"\(seed 3, not 9; n_hidden 12, not 13\)"),
        (RunState(tmp_path, "ef" * 32, tiny_config), "another list of names"),
    ):
        with pytest.raises(TrainingError, match=words):
            state.load()
    assert kept.load().step == 1


def test_resume_requires_same_origin(tmp_path: Path, tiny_config: TrainingConfig) -> None:
    origin = {"start": "human/lstm@1", "teachers": "human/lstm@1, human/lstm@2"}
    RunState(tmp_path, LIST, tiny_config, origin).save(ONE)
    assert RunState(tmp_path, LIST, tiny_config, dict(origin)).load().step == 1
    for other, words in (
        ({**origin, "start": "human/lstm@2"}, r"\(--start human/lstm@1, not human/lstm@2\)"),
        ({}, r"\(--start human/lstm@1, not none; --teacher human/lstm@1, human/lstm@2, not none\)"),
    ):
        with pytest.raises(TrainingError, match=f"made with other settings {words}. Give the same again"):
            RunState(tmp_path, LIST, tiny_config, other).load()


def test_state_without_origin_counts_as_without_start(tmp_path: Path, kept: RunState) -> None:
    document = json.loads((tmp_path / "state.json").read_text())
    del document["origin"]
    (tmp_path / "state.json").write_text(json.dumps(document))
    assert kept.load().step == 1


def test_start_and_teachers_are_the_origin_of_a_run(
    elves: ModelRegistry, elf_corpus: Corpus, kernels: Kernels, tiny_config: TrainingConfig
) -> None:
    job = Job(elf_corpus, tiny_config, "wavenet", torch.device("cpu"))
    state = RunState(Path("nowhere"), LIST, tiny_config)
    _, kept = add_pretrained(job, state, "elves/wavenet", ("elves/wavenet@1",), elves, kernels)
    assert kept.origin == {"start": "elves/wavenet@1", "teachers": "elves/wavenet@1"}


@pytest.mark.parametrize("content", [b"{", b'{"format": 2}', b""])
def test_damaged_state_document_is_rejected(tmp_path: Path, kept: RunState, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be read"):
        kept.load()
    assert kept.step() is None


def test_flipped_bit_in_tensors_is_detected(tmp_path: Path, kept: RunState) -> None:
    content = (tmp_path / "step-1.safetensors").read_bytes()
    (tmp_path / "step-1.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(TrainingError, match="damaged"):
        kept.load()


def test_unwritable_state_folder_is_an_error_with_option(blocked_folder: Path, tiny_config: TrainingConfig) -> None:
    with pytest.raises(TrainingError, match="--runs"):
        RunState(blocked_folder, LIST, tiny_config).save(ONE)


def run_until(job: Job, state: RunState, stop_at: int, resume: bool) -> RunResult:
    seen: list[Step] = []
    ticks = iter(range(10_000))
    return run(job, RunCallbacks(seen.append, lambda: len(seen) >= stop_at, lambda: float(next(ticks)), state, resume))


@pytest.mark.parametrize("kind", ["mlp", "wavenet"])
def test_resumed_run_equals_whole_run(kind: str, tmp_path: Path, corpus: Corpus, tiny_config: TrainingConfig) -> None:
    model = tiny_config.model.model_copy(update={"architecture": kind})
    job = Job(corpus, tiny_config.model_copy(update={"model": model, "steps": 20}), "tiny", torch.device("cpu"))
    whole = run_until(job, RunState(tmp_path / "whole", LIST, job.config), 10_000, resume=False)
    state = RunState(tmp_path / "parts", LIST, job.config)
    with pytest.raises(Interrupted, match=r"after step 7 of 20.*--resume"):
        run_until(job, state, 7, resume=False)
    with pytest.raises(Interrupted, match="after step 13 of 20"):
        run_until(job, state, 6, resume=True)
    parts = run_until(job, state, 10_000, resume=True)
    assert whole.history == parts.history
    assert len(parts.history.losses) == 20
    assert whole.losses == parts.losses
    assert equal_states(whole.network, parts.network)


def test_weights_are_shares_of_names_and_positions_in_batches(ten_names: tuple[list[str], Vocabulary]) -> None:
    examples = Examples.of(*ten_names)
    weights = torch.tensor([0.0, 1.0, 0.5, 3.0, 0.0, 2.0, 1.0, 1.0, 0.5, 1.0], dtype=torch.float64)
    names = NameBatches(examples, 5000, torch.Generator().manual_seed(1), weights=weights)
    drawn = torch.cat([names.choose() for _ in range(4000)])
    found = torch.bincount(drawn, minlength=10) / len(drawn)
    assert torch.allclose(found.double(), weights / weights.sum(), atol=0.01)
    assert not found[weights == 0].any()
    windows = WindowBatches(examples, 3, 50_000, torch.Generator().manual_seed(1), weights=weights)
    rows = weights.repeat_interleave(examples.lengths)
    last = torch.bincount(windows.draw().targets, weights=None, minlength=len(ten_names[1])) / 50_000
    expected = (
        torch.zeros(len(ten_names[1]), dtype=torch.float64).index_add_(0, examples.rows.targets, rows) / rows.sum()
    )
    assert torch.allclose(last.double(), expected, atol=0.01)


def test_weighted_counts_are_those_of_repeated_names() -> None:
    vocabulary = Vocabulary.of(["ab", "ba", "b"])
    repeated = count_bigrams(["ab", "ba", "ba", "ba", "b", "b"], vocabulary).double()
    weighted = count_bigrams(["ab", "ba", "b"], vocabulary, [10, 30, 20])
    assert torch.allclose(weighted, repeated / 2)
