"""The table [sweep] of a preset: which hyperparameters a sweep may change, and how far. Parsed here and nowhere else.

Whether a hyperparameter allows a value is its own model's word (`training.config`, `models.config`), not this file's.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import ModelConfig
from training.config import TrainingConfig
from training.errors import TrainingError

Number = int | float
Value = bool | int | float | str

# Trials that differ in these have losses that cannot be compared, or learn nothing from being compared.
FIXED = ("model", "method", "smoothing", "seed", "split_seed", "eval_every", "patience")
# Tolerance of "a whole number of steps" for steps like 0.1.
ROUNDING = 1e-9


class Range(BaseModel):
    """Numbers from `low` to `high`, both included; `log`: searched by factors; `step`: only low, low + step, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    low: Number
    high: Number
    log: bool = False
    step: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low has to be the smaller one")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}; with log = true it has to be above 0")
        if self.log and self.step is not None:
            raise ValueError("log = true and step exclude each other; leave out one of them")
        if self.step is not None:
            steps = (self.high - self.low) / self.step
            if abs(steps - round(steps)) > ROUNDING * max(1, steps):
                raise ValueError(f"high is no whole number of steps of {self.step:g} above low; change high or step")
        return self

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that prove the range possible: a hyperparameter's own limits enclose an interval."""
        return (self.low, self.high)


class Choices(BaseModel):
    """Some values, each tried as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    choices: Annotated[tuple[Value, ...], Field(min_length=2, strict=False)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("a choice is given twice")
        return self

    @property
    def ends(self) -> tuple[Value, ...]:
        """Every choice: none follows from another."""
        return self.choices


Ranges = Mapping[str, Range | Choices]


def parse_ranges(table: object) -> dict[str, Range | Choices]:
    """Return the ranges by field. Raises `TrainingError`, one line for each thing that is wrong."""
    if not isinstance(table, dict) or not table:
        raise TrainingError("[sweep] is empty; give a range, e.g. learning_rate = { low = 1e-3, high = 1e-2 }.")
    ranges: dict[str, Range | Choices] = {}
    wrong: list[str] = []
    for field, given in table.items():
        try:
            ranges[field] = _parse(field, given)
        except TrainingError as error:
            wrong.append(str(error))
    if wrong:
        raise TrainingError("\n".join(wrong))
    return ranges


def is_whole(field: str) -> bool:
    """Return whether the hyperparameter `field` is a whole number."""
    owner = ModelConfig if field in ModelConfig.model_fields else TrainingConfig
    return bool(owner.model_json_schema()["properties"][field].get("type") == "integer")


def _parse(field: str, given: object) -> Range | Choices:
    _refuse_unknown(field)
    kind: type[Range | Choices] = Choices if isinstance(given, dict) and "choices" in given else Range
    try:
        parsed = kind.model_validate(given)
    except ValidationError as error:
        # A number may be whole or not, and has an error as either; one of them is enough.
        lines = {item["loc"][:1]: _line(dict(item), kind) for item in error.errors(include_url=False)}
        raise TrainingError("\n".join(f"[sweep] {field}: {line}" for line in lines.values())) from None
    if isinstance(parsed, Range):
        _refuse_wrong_kind(field, parsed)
    return parsed


def _refuse_unknown(field: str) -> None:
    known = [*TrainingConfig.model_fields, *ModelConfig.model_fields]
    allowed = [name for name in known if name not in FIXED]
    if field in allowed:
        return
    if field in known:
        raise TrainingError(f"[sweep] {field}: cannot be swept; allowed: {', '.join(allowed)}.")
    nearest = difflib.get_close_matches(field, allowed, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"allowed: {', '.join(allowed)}."
    raise TrainingError(f"[sweep] {field}: there is no such hyperparameter; {hint}")


def _refuse_wrong_kind(field: str, given: Range) -> None:
    owner = ModelConfig if field in ModelConfig.model_fields else TrainingConfig
    kind = owner.model_json_schema()["properties"][field].get("type")
    if kind not in ("integer", "number"):
        raise TrainingError(f'[sweep] {field}: is no number; give choices, e.g. {{ choices = ["a", "b"] }}.')
    numbers = {"low": given.low, "high": given.high, "step": given.step}
    for name, number in numbers.items():
        if kind == "integer" and isinstance(number, float):
            raise TrainingError(f"[sweep] {field}: {name} is {number:g}; {field} is a whole number.")


def _line(item: Mapping[str, Any], kind: type[BaseModel]) -> str:
    part = next((str(place) for place in item["loc"] if place in kind.model_fields), "")
    match item["type"]:
        case "value_error":
            return f"{str(item['msg']).removeprefix('Value error, ')}."
        case "extra_forbidden":
            return f"{item['loc'][-1]!r} is unknown; allowed: {', '.join(kind.model_fields)}."
        case "missing":
            return f"{part} is missing; give low and high, or choices."
        case "model_type":
            return f"is {item['input']!r}; give {{ low = ..., high = ... }} or {{ choices = [...] }}."
        case "too_short":
            return "give two choices or more."
        case "finite_number":
            return f"{part} is {item['input']}; allowed: a finite number."
        case "greater_than":
            return f"{part} is {item['input']!r}; it has to be above 0."
        case _:
            return f"{part} is {item['input']!r}; that is of the wrong kind."
