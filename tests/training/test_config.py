"""Hyperparameters and presets: all presets can be built, and what is wrong is named with what is allowed."""

from pathlib import Path

import pytest
import torch

from data import CATALOG
from models.networks import build_model
from training.config import load_config, preset_names
from training.errors import TrainingError
from training.output import write_output
from training.search.sweep_plan import read_plan

# Presets that are not called after their architecture.
ARCHITECTURE = {"fast": "lstm"}
EXPECTED = {
    "fast",
    "gated_wavenet",
    "lstm",
    "lstm-student",
    "lstm-student-large",
    "bigram",
    "bigram-gradient",
    "mlp",
    "mlp-deep",
    "mlp-lecture",
    "mlp-wide",
    "wavenet",
    "wavenet-large",
    "wavenet-lecture",
}


@pytest.mark.parametrize("dataset", [*CATALOG, "elves"])
@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_can_be_built_for_every_data_set(preset: str, dataset: str) -> None:
    """Each preset gives a valid configuration and a network of its architecture."""
    config = load_config(preset, dataset, {})
    assert config.model.architecture == ARCHITECTURE.get(preset, preset.partition("-")[0])
    assert build_model(config.model, 27, torch.Generator()).parameter_count > 0


def test_the_promised_presets_are_there() -> None:
    """The lectures' schedules, the modern ones and the sizes that the plan asks for are presets."""
    assert set(preset_names()) >= EXPECTED
    lecture = load_config("mlp-lecture", "human", {})
    assert (lecture.optimizer, lecture.schedule, lecture.learning_rate) == ("sgd", "step", 0.1)
    modern = load_config("wavenet", "human", {})
    assert (modern.optimizer, modern.schedule) == ("adamw", "one-cycle")
    large = build_model(load_config("wavenet-large", "human", {}).model, 27, torch.Generator())
    assert 450_000 < large.parameter_count < 550_000


def test_overrides_win_over_the_preset_and_over_the_data_set() -> None:
    """What is given by hand holds, for the network's fields and the run's; the rest stays the preset's."""
    plain = load_config("mlp", "animal", {})
    config = load_config("mlp", "animal", {"n_hidden": 7, "learning_rate": 0.123})
    assert (config.model.n_hidden, config.learning_rate) == (7, 0.123)
    changed = {"model": plain.model, "learning_rate": plain.learning_rate}
    assert config.model_copy(update=changed) == plain
    assert plain.model.n_hidden != 7


def test_passes_given_by_hand_win_over_the_steps_of_the_preset() -> None:
    """A preset that counts steps obeys --passes; where both are given, the steps hold."""
    assert load_config("mlp-lecture", "human", {}).steps > 0
    config = load_config("mlp-lecture", "human", {"passes": 2})
    assert (config.steps, config.passes) == (0, 2)
    assert load_config("mlp-lecture", "human", {"passes": 2, "steps": 7}).steps == 7


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_hidden": 5000}, "--n-hidden is 5000; allowed: a whole number from 1 to 2,048."),
        ({"learning_rate": 0.0}, "--learning-rate is 0.0; allowed: a number above 0 to 1,000."),
        ({"learning_rate": float("nan")}, "--learning-rate is nan; allowed: a number above 0 to 1,000."),
        ({"optimizer": "adam"}, "--optimizer is 'adam'; allowed: adamw or sgd."),
        ({"block_size": 6}, "block_size of a wavenet is a power of two"),
        ({"method": "counting"}, "method counting is for the architecture bigram"),
        ({"leraning_rate": 1.0}, "'leraning_rate' is no hyperparameter; did you mean learning_rate?"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(given: dict[str, object], words: str) -> None:
    """An impossible value ends in one line with the option, the value and the allowed values."""
    with pytest.raises(TrainingError) as caught:
        load_config("wavenet", "human", given)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_every_wrong_value_has_its_line() -> None:
    """Two mistakes give two lines, so that nobody has to try twice."""
    with pytest.raises(TrainingError) as caught:
        load_config("wavenet", "human", {"n_embd": 0, "passes": 0})
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    """A misspelt preset names all there are and the one that was probably meant."""
    with pytest.raises(TrainingError, match=r"allowed: bigram, .*Did you mean wavenet\?"):
        load_config("wavnet", "human", {})


def test_a_preset_may_be_a_file(tmp_path: Path) -> None:
    """The path of a TOML file is as good as a name, and a missing one is named."""
    file = tmp_path / "mine.toml"
    file.write_text('learning_rate = 0.02\n[model]\narchitecture = "mlp"\n[datasets.elves]\npasses = 3\n')
    config = load_config(str(file), "elves", {})
    assert (config.learning_rate, config.passes, config.model.architecture) == (0.02, 3, "mlp")
    with pytest.raises(TrainingError, match=r"none\.toml cannot be read"):
        load_config(str(tmp_path / "none.toml"), "elves", {})


@pytest.mark.parametrize("text", ["[datasets]\nelves = 3\n", "a = " + "[" * 5000, "a = ["])
def test_a_strange_preset_ends_in_a_line(tmp_path: Path, text: str) -> None:
    """A data set's entry that is no table counts as none; what cannot be read is one line, however deep it nests."""
    file = tmp_path / "odd.toml"
    file.write_text('[model]\narchitecture = "mlp"\n' + text if text.startswith("[") else text)
    if text.startswith("[datasets]"):
        assert load_config(str(file), "elves", {}).model.architecture == "mlp"
    else:
        with pytest.raises(TrainingError, match="cannot be read"):
            load_config(str(file), "elves", {})


@pytest.mark.parametrize("text", ["model = 3\n", '[model]\narchitecture = "mlp"\n[datasets.elves]\nmodel = 3\n'])
def test_a_model_that_is_no_table_is_named(tmp_path: Path, text: str) -> None:
    """Where model is a number, one line says what was given and that [model] must be a table, for a sweep too."""
    file = tmp_path / "odd.toml"
    file.write_text(text)
    with pytest.raises(TrainingError, match=r"\Amodel is 3; it must be a table: a line \[model\]"):
        load_config(str(file), "elves", {"n_hidden": 8})
    file.write_text(text + "[sweep]\nlearning_rate = { low = 0.01, high = 0.1 }\n")
    with pytest.raises(TrainingError, match=r"\Amodel is 3; it must be a table"):
        read_plan(str(file), "elves")


def test_output_never_goes_into_a_store(tmp_path: Path) -> None:
    """A folder below an alias file is a store's: nothing is written there, by any command."""
    (tmp_path / "aliases.json").write_text("{}")
    with pytest.raises(TrainingError, match="lies in a store"):
        write_output(tmp_path / "human/mlp/1", {"a.png": b""})
    assert not (tmp_path / "human").exists()
