"""Hyperparameters: allowed values, presets, and the config that a preset and options give."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import ModelConfig
from training.errors import TrainingError

_KINDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}


def option(field: str) -> str:
    """Return the command-line option of a field."""
    return f"--{field.replace('_', '-')}"


def allowed(model: type[BaseModel], field: str) -> str:
    """Return the allowed values of `field`, e.g. "a whole number from 1 to 2048" or "adamw or sgd"."""
    schema: Mapping[str, Any] = model.model_json_schema()["properties"][field]
    if choices := schema.get("enum"):
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    kind = _KINDS.get(str(schema.get("type")), "a table")
    limits = []
    if "exclusiveMinimum" in schema:
        limits.append(f"above {schema['exclusiveMinimum']:,g}")
    if "minimum" in schema:
        limits.append(f"from {_number(schema['minimum'])}")
    if "exclusiveMaximum" in schema:
        limits.append(f"below {schema['exclusiveMaximum']:,g}")
    if "maximum" in schema:
        limits.append(f"to {_number(schema['maximum'])}")
    return " ".join([kind, *limits])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.15g}"


def explain(error: ValidationError, *models: type[BaseModel]) -> list[str]:
    """Return one line for each error: the option, the given value, and the allowed values.

    `models`: the pydantic models whose fields may appear, outermost first.
    """
    return [_line(dict(item), models) for item in error.errors(include_url=False)]


def _line(item: Mapping[str, Any], models: tuple[type[BaseModel], ...]) -> str:
    field = str(item["loc"][-1]) if item["loc"] else ""
    if item["type"] == "value_error":
        return f"{str(item['msg']).removeprefix('Value error, ')}."
    if item["type"] == "extra_forbidden":
        known = [name for model in models for name in model.model_fields]
        nearest = difflib.get_close_matches(field, known, n=1)
        return (
            f"{field!r} is not a hyperparameter; {'did you mean' if nearest else 'allowed:'} {_some(nearest or known)}"
        )
    owner = next((model for model in models if field in model.model_fields), None)
    if owner is None:
        return f"{field}: {item['msg']}."
    if item["type"] == "missing":
        return f"{field} is missing; allowed: {allowed(owner, field)}."
    return f"{option(field)} is {item['input']!r}; allowed: {allowed(owner, field)}."


def _some(names: list[str]) -> str:
    return f"{names[0]}?" if len(names) == 1 else f"{', '.join(names)}."


PRESETS = Path(__file__).parent / "presets"

Share = Annotated[float, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0, le=2**53 - 1)]


class TrainingConfig(BaseModel):
    """The hyperparameters of one run. Every field except `model` is a command-line option."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    model: ModelConfig
    method: Annotated[
        Literal["gradient", "counting"], Field(description="How to find the weights; counting is for the bigram.")
    ] = "gradient"
    smoothing: Annotated[float, Field(gt=0, le=1e6, description="Added to every count (counting only).")] = 1.0
    optimizer: Annotated[Literal["adamw", "sgd"], Field(description="The optimizer.")] = "adamw"
    schedule: Annotated[
        Literal["one-cycle", "step", "constant"],
        Field(description="Learning rate over time: up and down, a tenth from the middle on, or constant."),
    ] = "one-cycle"
    learning_rate: Annotated[float, Field(gt=0, le=1000, description="The highest learning rate.")] = 5e-3
    weight_decay: Annotated[Share, Field(description="Decoupled weight decay of AdamW, on matrices only.")] = 0.0
    l2: Annotated[Share, Field(description="L2 penalty: this factor times the mean square of each matrix.")] = 0.0
    grad_clip: Annotated[Share, Field(description="Largest norm of all gradients together; 0 is no limit.")] = 0.0
    batch: Annotated[
        Literal["names", "windows"], Field(description="Content of a batch: whole names, or single positions.")
    ] = "names"
    batch_size: Annotated[int, Field(ge=2, le=1_000_000, description="Names or windows in a batch.")] = 256
    passes: Annotated[int, Field(ge=1, le=100_000, description="Passes over the training list.")] = 20
    steps: Annotated[int, Field(ge=0, le=10**8, description="Total steps; 0 means that `passes` decides.")] = 0
    max_steps: Annotated[int, Field(ge=0, le=10**8, description="Most steps of `passes`; 0 is no limit.")] = 0
    style_dropout: Annotated[
        float, Field(ge=0, lt=1, description="Share of the values of styles that are left out at random.")
    ] = 0.3
    style_scale: Annotated[
        float,
        Field(
            gt=0, le=10, description="Factor of the trained vectors of styles, or of a teacher's; above 1, they show."
        ),
    ] = 1.0
    eval_every: Annotated[int, Field(ge=0, le=10**8, description="Steps between dev losses; 0 is once a pass.")] = 0
    patience: Annotated[
        int, Field(ge=0, le=10**6, description="Dev losses without a new best before the run ends early; 0 is never.")
    ] = 0
    seed: Annotated[Seed, Field(description="Seed of the initial weights and the batches.")] = 1
    split_seed: Annotated[Seed, Field(description="Seed of the split into train, dev and test.")] = 42

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.method == "counting" and self.model.architecture != "bigram":
            raise ValueError("method counting is for the architecture bigram; allowed for others: gradient")
        return self

    def hyperparameters(self) -> dict[str, bool | int | float | str | None]:
        """Return the relevant hyperparameters except the network's shape, flat, as a manifest stores them."""
        if self.method == "counting":
            return self.model_dump(include={"method", "smoothing", "split_seed"})
        return self.model_dump(exclude={"model", "smoothing"})


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_config(preset: str, dataset: str, overrides: Mapping[str, object]) -> TrainingConfig:
    """Return the preset's hyperparameters for `dataset`, changed by `overrides`.

    `preset`: the name of a shipped preset, or the path of a .toml file with fields, a table [model], and optionally
    tables [datasets.NAME] with the differences for one data set. `overrides` has the field names of both configs.
    Raises `TrainingError` with one line for each error.
    """
    document = _read_preset(preset)
    own = table(table(document.pop("datasets", {})).get(dataset))
    if overrides.get("passes") and "steps" not in overrides:
        # Given passes override the preset's steps.
        overrides = {"max_steps": 0, **overrides, "steps": 0}
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
    """Return the fields of both; `above` wins, also within the tables [model].

    Raises `TrainingError` if a model is not a table.
    """
    return {**below, **above, "model": {**_model_table(below), **_model_table(above)}}


def table(value: object) -> dict[str, object]:
    """Return a TOML value if it is a table, else an empty table."""
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
