"""The plan of a sweep: ranges of hyperparameters from a TOML file."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import ModelConfig
from training.config import TrainingConfig, explain, layered, preset_names, table
from training.errors import TrainingError

Number = int | float
Value = bool | int | float | str

# Fields that a sweep must not change: losses of such trials cannot be compared, or the comparison is useless.
FIXED = ("model", "method", "smoothing", "seed", "split_seed", "eval_every", "patience")
# Tolerance of "a whole number of steps" for steps like 0.1.
ROUNDING = 1e-9


class Range(BaseModel):
    """Numbers from `low` to `high` inclusive. `log`: logarithmic scale; `step`: low, low + step, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    low: Number
    high: Number
    log: bool = False
    step: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low must be the smaller one")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}; with log = true it must be above 0")
        if self.log and self.step is not None:
            raise ValueError("log = true and step exclude each other; leave out one of them")
        if self.step is not None:
            steps = (self.high - self.low) / self.step
            if abs(steps - round(steps)) > ROUNDING * max(1, steps):
                raise ValueError(f"high is not a whole number of steps of {self.step:g} above low; change high or step")
        return self

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values to validate: if both ends are allowed, the whole range is."""
        return (self.low, self.high)


class Choices(BaseModel):
    """A list of values to try."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    choices: Annotated[tuple[Value, ...], Field(min_length=2, strict=False)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("a choice is given twice")
        return self

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values to validate: every choice."""
        return self.choices


Ranges = Mapping[str, Range | Choices]


def parse_ranges(table: object) -> dict[str, Range | Choices]:
    """Return the ranges by field. Raises `TrainingError` with one line for each error."""
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
        # pydantic reports a wrong number once as int and once as float; one line is enough.
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
    raise TrainingError(f"[sweep] {field}: this hyperparameter does not exist; {hint}")


def _refuse_wrong_kind(field: str, given: Range) -> None:
    owner = ModelConfig if field in ModelConfig.model_fields else TrainingConfig
    kind = owner.model_json_schema()["properties"][field].get("type")
    if kind not in ("integer", "number"):
        raise TrainingError(f'[sweep] {field}: is not a number; give choices, e.g. {{ choices = ["a", "b"] }}.')
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
            return f"{part} is {item['input']!r}; it must be above 0."
        case _:
            return f"{part} is {item['input']!r}; its type is wrong."


SWEEPS = Path(__file__).parent / "sweeps"


@dataclass(frozen=True)
class SweepPlan:
    """A sweep: the stem of its file, the preset's fields for the data set, and the ranges by field."""

    title: str
    fields: Mapping[str, object]
    ranges: Ranges

    def config(self, values: Mapping[str, Value]) -> TrainingConfig:
        """Return the hyperparameters of a trial. Raises `TrainingError` if they contradict each other."""
        try:
            return TrainingConfig.model_validate(layered(self.fields, _nested(values)))
        except ValidationError as error:
            raise TrainingError("\n".join(explain(error, TrainingConfig, ModelConfig))) from None

    def digest(self) -> str:
        """Return the hexadecimal SHA-256 of fields and ranges."""
        ranges = {field: r.model_dump(mode="json") for field, r in self.ranges.items()}
        document = json.dumps([self.config({}).model_dump(mode="json"), ranges], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()


def read_plan(given: str, dataset: str, passes: int | None = None) -> SweepPlan:
    """Return the plan of the file or shipped sweep `given` for `dataset`.

    `passes` override the passes and steps of the file. Every end of a range and every choice is validated here, so
    that no trial fails after hours. Raises `TrainingError`.
    """
    path = _path(given)
    document = _read(path)
    if "sweep" not in document:
        raise TrainingError(
            f"{path} has no table [sweep]; add one, e.g. learning_rate = {{ low = 1e-3, high = 1e-2, log = true }}, "
            f"or name a sweep that ships: {', '.join(sweep_names())}."
        )
    ranges = parse_ranges(document.pop("sweep"))
    if passes is not None and ranges.keys() & {"passes", "steps"}:
        raise TrainingError("--passes is given, and [sweep] changes passes or steps; give one of the two.")
    special = table(document.pop("datasets", {}))
    fields = layered(document, table(special.get(dataset)))
    if passes is not None:
        fields = {**fields, "passes": passes, "steps": 0, "max_steps": 0}
    plan = SweepPlan(path.stem, fields, ranges)
    _refuse_impossible(plan)
    return plan


def sweep_names() -> list[str]:
    """Return the names of the shipped sweeps, sorted."""
    return sorted(path.stem for path in SWEEPS.glob("*.toml"))


def _path(given: str) -> Path:
    if given in sweep_names() and not Path(given).is_file():
        return SWEEPS / f"{given}.toml"
    if given in preset_names() and not Path(given).is_file():
        raise TrainingError(
            f"The preset {given} has no table [sweep]; copy it and add one, or name a sweep that ships: "
            f"{', '.join(sweep_names())}."
        )
    return Path(given)


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise TrainingError(
            f"There is no file {str(path)!r} with a sweep; give a TOML file, or one that ships: "
            f"{', '.join(sweep_names())}."
        ) from None
    except (OSError, ValueError) as error:
        raise TrainingError(f"The sweep {path} cannot be read: {error}") from error


def _refuse_impossible(plan: SweepPlan) -> None:
    base = plan.config({})
    if base.method == "counting":
        raise TrainingError("A preset that counts has nothing to sweep; set method = 'gradient'.")
    lines: list[str] = []
    for field, given in plan.ranges.items():
        for value in given.ends:
            try:
                plan.config({field: value})
            except TrainingError as error:
                lines += [f"[sweep] {field}: {line}" for line in str(error).splitlines()]
    if lines:
        raise TrainingError("\n".join(lines))


def _nested(values: Mapping[str, Value]) -> dict[str, object]:
    """Move the fields of the network into a table [model]."""
    model = {field: value for field, value in values.items() if field in ModelConfig.model_fields}
    return {field: value for field, value in values.items() if field not in model} | {"model": model}
