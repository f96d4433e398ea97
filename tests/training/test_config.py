"""Hyperparameters and presets, their error messages, and folders that commands may write to."""

from pathlib import Path

import pytest
import torch

from data import CATALOG
from models.networks import build_model
from training.config import load_config, preset_names
from training.corpus import Corpus
from training.errors import TrainingError
from training.paths import write_output
from training.search.sweep_plan import read_plan
from training.trainer import new_trainer

# Presets that are not called after their architecture.
ARCHITECTURE = {"fast": "lstm"}
EXPECTED = """
    fast gated_wavenet lstm lstm-student lstm-student-large bigram bigram-gradient mlp mlp-deep mlp-lecture mlp-wide
    wavenet wavenet-large wavenet-lecture
"""
HEAD = '[model]\narchitecture = "mlp"\n'


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    """A preset file, not yet written."""
    return tmp_path / "preset.toml"


@pytest.mark.parametrize("dataset", [*CATALOG, "elves"])
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_builds_a_network_for_every_dataset(name: str, dataset: str) -> None:
    config = load_config(name, dataset, {})
    assert config.model.architecture == ARCHITECTURE.get(name, name.partition("-")[0])
    assert build_model(config.model, 27, torch.Generator()).parameter_count > 0


def test_presets_of_lectures_and_of_all_sizes_exist() -> None:
    assert set(preset_names()) >= set(EXPECTED.split())
    lecture = load_config("mlp-lecture", "human", {})
    assert (lecture.optimizer, lecture.schedule, lecture.learning_rate) == ("sgd", "step", 0.1)
    modern = load_config("wavenet", "human", {})
    assert (modern.optimizer, modern.schedule) == ("adamw", "one-cycle")
    large = build_model(load_config("wavenet-large", "human", {}).model, 27, torch.Generator())
    assert 450_000 < large.parameter_count < 550_000


def test_overrides_win_over_preset_and_dataset() -> None:
    plain = load_config("mlp", "animal", {})
    config = load_config("mlp", "animal", {"n_hidden": 7, "learning_rate": 0.123})
    assert (config.model.n_hidden, config.learning_rate) == (7, 0.123)
    assert config.model_copy(update={"model": plain.model, "learning_rate": plain.learning_rate}) == plain
    assert plain.model.n_hidden != 7


@pytest.mark.parametrize(("given", "steps", "passes"), [({"passes": 2}, 0, 2), ({"passes": 2, "steps": 7}, 7, 2)])
def test_passes_win_over_preset_steps_but_not_over_given_ones(given: dict[str, int], steps: int, passes: int) -> None:
    assert load_config("mlp-lecture", "human", {}).steps > 0
    config = load_config("mlp-lecture", "human", given)
    assert (config.steps, config.passes) == (steps, passes)


def test_a_preset_limits_its_steps_and_given_passes_do_not(corpus: Corpus) -> None:
    limited = load_config("wavenet", "elves", {"max_steps": 3, "batch_size": 2})
    free = load_config("wavenet", "elves", {"passes": 2, "batch_size": 2})
    trainers = [new_trainer(config, corpus, torch.device("cpu")) for config in (limited, free)]
    assert [trainer.total for trainer in trainers] == [3, 2 * len(trainers[1].batches)]
    assert load_config("wavenet", "elves", {}).max_steps > 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_hidden": 5000}, "--n-hidden is 5000; allowed: a whole number from 1 to 2,048."),
        ({"learning_rate": 0.0}, "--learning-rate is 0.0; allowed: a number above 0 to 1,000."),
        ({"learning_rate": float("nan")}, "--learning-rate is nan; allowed: a number above 0 to 1,000."),
        ({"optimizer": "adam"}, "--optimizer is 'adam'; allowed: adamw or sgd."),
        ({"block_size": 6}, "block_size of a wavenet is a power of two"),
        ({"method": "counting"}, "method counting is for the architecture bigram"),
        ({"leraning_rate": 1.0}, "'leraning_rate' is not a hyperparameter; did you mean learning_rate?"),
    ],
)
def test_invalid_value_is_a_one_line_error_with_allowed_values(given: dict[str, object], words: str) -> None:
    with pytest.raises(TrainingError) as caught:
        load_config("wavenet", "human", given)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_each_invalid_value_has_its_own_line() -> None:
    with pytest.raises(TrainingError, match=r"\A[^\n]+\n[^\n]+\Z"):
        load_config("wavenet", "human", {"n_embd": 0, "passes": 0})


def test_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(TrainingError, match=r"allowed: bigram, .*Did you mean wavenet\?"):
        load_config("wavnet", "human", {})


def test_preset_can_be_a_file(preset: Path) -> None:
    preset.write_text(f"learning_rate = 0.02\n{HEAD}[datasets.elves]\npasses = 3\n")
    config = load_config(str(preset), "elves", {})
    assert (config.learning_rate, config.passes, config.model.architecture) == (0.02, 3, "mlp")


@pytest.mark.parametrize("text", [None, "a = " + "[" * 5000, "a = ["], ids=["missing", "deeply nested", "open"])
def test_unreadable_preset_file_is_an_error(preset: Path, text: str | None) -> None:
    if text is not None:
        preset.write_text(text)
    with pytest.raises(TrainingError, match=r"preset\.toml cannot be read"):
        load_config(str(preset), "elves", {})


def test_dataset_entry_that_is_no_table_is_ignored(preset: Path) -> None:
    preset.write_text(HEAD + "[datasets]\nelves = 3\n")
    assert load_config(str(preset), "elves", {}).model.architecture == "mlp"


@pytest.mark.parametrize("text", ["model = 3\n", HEAD + "[datasets.elves]\nmodel = 3\n"])
def test_model_must_be_a_table_in_preset_and_sweep(preset: Path, text: str) -> None:
    preset.write_text(text)
    with pytest.raises(TrainingError, match=r"\Amodel is 3; it must be a table: a line \[model\]"):
        load_config(str(preset), "elves", {"n_hidden": 8})
    preset.write_text(text + "[sweep]\nlearning_rate = { low = 0.01, high = 0.1 }\n")
    with pytest.raises(TrainingError, match=r"\Amodel is 3; it must be a table"):
        read_plan(str(preset), "elves")


def test_output_folder_inside_a_store_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("{}")
    with pytest.raises(TrainingError, match="lies in a store"):
        write_output(tmp_path / "human/mlp/1", {"a.png": b""})
    assert not (tmp_path / "human").exists()
