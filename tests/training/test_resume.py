"""The state of a run on disk: it comes back to the bit, and is refused where it does not belong or was damaged."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import Draft, Kernels, ModelConfig, ModelRegistry
from training.config import TrainingConfig
from training.corpus import Corpus
from training.errors import Interrupted, TrainingError
from training.origins import with_origins
from training.resume import RunState, Saved
from training.run import Job, Outcome, Watch, run
from training.trainer import Step, Trainer

MakeTrainer = Callable[[TrainingConfig], Trainer]
LIST = "cd" * 32


def some_state(make_trainer: MakeTrainer, config: TrainingConfig) -> Saved:
    trainer = make_trainer(config)
    steps = trainer.fit()
    for _ in range(7):
        next(steps)
    return Saved(7, 1.5, trainer.state())


def test_a_state_comes_back_to_the_bit(tmp_path: Path, make_trainer: MakeTrainer, tiny_config: TrainingConfig) -> None:
    """Saved and loaded, every tensor is the same in kind and value; a second save takes the first one's place."""
    kept = RunState(tmp_path / "elves-tiny", LIST, tiny_config)
    saved = some_state(make_trainer, tiny_config)
    kept.save(Saved(3, 0.5, {"other": torch.zeros(2)}))
    kept.save(saved)
    loaded = kept.load()
    assert (loaded.step, loaded.seconds, kept.step()) == (7, 1.5, 7)
    assert set(loaded.tensors) == set(saved.tensors)
    for name, tensor in saved.tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)
    assert sorted(path.name for path in kept.folder.iterdir()) == ["state.json", "step-7.safetensors"]
    kept.remove()
    assert kept.step() is None
    assert not kept.folder.exists()


def test_a_state_of_another_run_is_refused(tmp_path: Path, tiny_config: TrainingConfig) -> None:
    """Other settings are named with both values; another list, or no state at all, ends in one clear line."""
    kept = RunState(tmp_path, LIST, tiny_config)
    with pytest.raises(TrainingError, match="leave out --resume"):
        kept.load()
    kept.save(Saved(1, 0.0, {"x": torch.zeros(1)}))
    wide = tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"n_hidden": 13}), "seed": 9})
    with pytest.raises(TrainingError, match=r"n_hidden 12, not 13") as caught:
        RunState(tmp_path, LIST, wide).load()
    assert "seed 3, not 9" in str(caught.value)
    with pytest.raises(TrainingError, match="another list of names"):
        RunState(tmp_path, "ef" * 32, tiny_config).load()
    assert kept.load().step == 1


def test_a_state_with_another_origin_is_refused(tmp_path: Path, tiny_config: TrainingConfig) -> None:
    """A run that goes on from a version, or learns from some, goes on with the same ones only; a state that was kept
    before origins were noted has none.
    """
    origin = {"start": "human/lstm@1", "teachers": "human/lstm@1, human/lstm@2"}
    RunState(tmp_path, LIST, tiny_config, origin).save(Saved(1, 0.0, {"x": torch.zeros(1)}))
    assert RunState(tmp_path, LIST, tiny_config, dict(origin)).load().step == 1
    for other, words in (
        ({**origin, "start": "human/lstm@2"}, r"\(--start human/lstm@1, not human/lstm@2\)"),
        ({}, r"\(--start human/lstm@1, not none; --teacher human/lstm@1, human/lstm@2, not none\)"),
    ):
        with pytest.raises(TrainingError, match=f"made with other settings {words}. Give the same again"):
            RunState(tmp_path, LIST, tiny_config, other).load()
    document = json.loads((tmp_path / "state.json").read_text())
    del document["origin"]
    (tmp_path / "state.json").write_text(json.dumps(document))
    assert RunState(tmp_path, LIST, tiny_config).load().step == 1


def test_the_command_keeps_the_origin_of_a_run(
    registry: ModelRegistry, elf_draft: Draft, kernels: Kernels, corpus: Corpus, tiny_config: TrainingConfig
) -> None:
    """What --start and --teacher name is in the state that the command line makes."""
    registry.publish(elf_draft)
    job = Job(replace(corpus, sha256=elf_draft.data.sha256), tiny_config, "wavenet", torch.device("cpu"))
    state = RunState(Path("nowhere"), LIST, tiny_config)
    _, kept = with_origins(job, state, "elves/wavenet", ("elves/wavenet@1",), registry, kernels)
    assert kept.origin == {"start": "elves/wavenet@1", "teachers": "elves/wavenet@1"}


@pytest.mark.parametrize("damage", [b"{", b'{"format": 2}', b""])
def test_a_damaged_state_is_refused(tmp_path: Path, tiny_config: TrainingConfig, damage: bytes) -> None:
    """A document that cannot be read ends in one line; without --resume it is as if nothing lay there."""
    kept = RunState(tmp_path, LIST, tiny_config)
    kept.save(Saved(1, 0.0, {"x": torch.zeros(1)}))
    (tmp_path / "state.json").write_bytes(damage)
    with pytest.raises(TrainingError, match="cannot be read"):
        kept.load()
    assert kept.step() is None


def test_a_flipped_bit_is_noticed(tmp_path: Path, tiny_config: TrainingConfig) -> None:
    """Tensors that differ from their digest are not trained on."""
    kept = RunState(tmp_path, LIST, tiny_config)
    kept.save(Saved(1, 0.0, {"x": torch.zeros(100)}))
    path = tmp_path / "step-1.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="damaged"):
        kept.load()


def test_a_folder_that_cannot_be_written_ends_in_one_line(tmp_path: Path, tiny_config: TrainingConfig) -> None:
    """Where the state cannot be kept, the message names the folder and the option that changes it."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainingError, match="--runs"):
        RunState(tmp_path / "file" / "run", LIST, tiny_config).save(Saved(1, 0.0, {"x": torch.zeros(1)}))


def run_until(job: Job, state: RunState, stop_at: int, resume: bool) -> Outcome:
    seen: list[Step] = []
    ticks = iter(range(10_000))
    watch = Watch(seen.append, lambda: len(seen) >= stop_at, lambda: float(next(ticks)), state, resume)
    return run(job, watch)


@pytest.mark.parametrize("architecture", ["mlp", "wavenet"])
def test_an_interrupted_run_ends_as_an_unbroken_one(
    architecture: str, tmp_path: Path, corpus: Corpus, tiny_config: TrainingConfig
) -> None:
    """Stopped twice and resumed from disk, a run has bitwise the weights, losses and history of an unbroken one."""
    model = ModelConfig(architecture=architecture, block_size=4, n_embd=4, n_hidden=12)
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
    arrays, others = whole.network.to_arrays(), parts.network.to_arrays()
    assert all((array == others[name]).all() for name, array in arrays.items())
