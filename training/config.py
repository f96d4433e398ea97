"""The hyperparameters of a run, and the presets they come from: TOML and command line are parsed here.

What a network is made of is `models.config`; here is how it learns. Nothing in this file trains.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import ModelConfig
from training.constraints import explain
from training.errors import TrainingError

PRESETS = Path(__file__).parent / "presets"

Share = Annotated[float, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0, le=2**53 - 1)]


class TrainingConfig(BaseModel):
    """One run's hyperparameters. Every field but `model` is an option of the command line, with this description."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    model: ModelConfig
    method: Annotated[
        Literal["gradient", "counting"], Field(description="How the weights are found; counting is for the bigram.")
    ] = "gradient"
    smoothing: Annotated[float, Field(gt=0, le=1e6, description="Added to every count (counting only).")] = 1.0
    optimizer: Annotated[Literal["adamw", "sgd"], Field(description="The rule that turns gradients into steps.")] = (
        "adamw"
    )
    schedule: Annotated[
        Literal["one-cycle", "step", "constant"],
        Field(description="Learning rate over time: up and down, a tenth from half way on, or constant."),
    ] = "one-cycle"
    learning_rate: Annotated[float, Field(gt=0, le=1000, description="The highest learning rate.")] = 5e-3
    weight_decay: Annotated[Share, Field(description="Decoupled weight decay of AdamW, on matrices only.")] = 0.0
    l2: Annotated[Share, Field(description="Times the mean square of each matrix, added to the loss.")] = 0.0
    grad_clip: Annotated[Share, Field(description="Largest norm of all gradients together; 0 is no limit.")] = 0.0
    batch: Annotated[
        Literal["names", "windows"], Field(description="What a batch is made of: whole names, or single positions.")
    ] = "names"
    batch_size: Annotated[int, Field(ge=2, le=1_000_000, description="Names or windows in a batch.")] = 256
    passes: Annotated[int, Field(ge=1, le=100_000, description="How often the whole training list is seen.")] = 20
    steps: Annotated[int, Field(ge=0, le=10**8, description="Steps in all; 0 leaves it to the passes.")] = 0
    eval_every: Annotated[int, Field(ge=0, le=10**8, description="Steps between dev losses; 0 is once a pass.")] = 0
    patience: Annotated[
        int, Field(ge=0, le=10**6, description="Dev losses without a new best before the run ends early; 0 is never.")
    ] = 0
    seed: Annotated[Seed, Field(description="Of the first weights and of the batches.")] = 1
    split_seed: Annotated[Seed, Field(description="Of the split into train, dev and test.")] = 42

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.method == "counting" and self.model.architecture != "bigram":
            raise ValueError("method counting is for the architecture bigram; allowed for others: gradient")
        return self

    def hyperparameters(self) -> dict[str, bool | int | float | str | None]:
        """Return all that mattered but the network's shape, flat, as a manifest stores it."""
        if self.method == "counting":
            return self.model_dump(include={"method", "smoothing", "split_seed"})
        return self.model_dump(exclude={"model", "smoothing"})


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_config(preset: str, dataset: str, overrides: Mapping[str, object]) -> TrainingConfig:
    """Return the preset's hyperparameters for `dataset`, changed by `overrides` (field names as in the two configs).

    `preset`: the name of one that ships, or the path of a file that ends in .toml: a TOML table of fields, a table
    [model], and maybe [datasets.NAME] with what differs for one data set.
    Raises `TrainingError`, one line for each thing that is wrong.
    """
    document = _read_preset(preset)
    own = table(table(document.pop("datasets", {})).get(dataset))
    if overrides.get("passes") and "steps" not in overrides:
        overrides = {**overrides, "steps": 0}  # passes given by hand win over a preset's steps
    given = {"model": {k: v for k, v in overrides.items() if k in ModelConfig.model_fields}} | {
        k: v for k, v in overrides.items() if k not in ModelConfig.model_fields
    }
    fields: dict[str, object] = {}
    for layer in (document, own, given):
        fields = layered(fields, layer)
    try:
        return TrainingConfig.model_validate(fields)
    except ValidationError as error:
        raise TrainingError("\n".join(explain(error, TrainingConfig, ModelConfig))) from None


def layered(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of both, where `above` wins; the tables [model] are laid over each other likewise. Raises
    `TrainingError` for a model that is no table.
    """
    return {**below, **above, "model": {**_model_table(below), **_model_table(above)}}


def table(value: object) -> dict[str, object]:
    """Return a TOML value as a table: an empty one for what is none."""
    return value if isinstance(value, dict) else {}


def _model_table(fields: Mapping[str, object]) -> dict[str, object]:
    model = fields.get("model", {})
    if not isinstance(model, dict):
        raise TrainingError(
            f"model is {model!r}; it must be a table: a line [model], and below it its fields, as "
            'architecture = "lstm".'
        )
    return model


def _read_preset(name: str) -> dict[str, object]:
    names = preset_names()
    if name not in names and not name.endswith(".toml"):
        nearest = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise TrainingError(f"There is no preset {name!r}; allowed: {', '.join(names)}, or a file.toml.{hint}")
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"The preset {path} cannot be read: {error}") from error
