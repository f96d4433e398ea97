"""What a sweep tries: a preset's TOML document with its table [sweep], for one data set, as hyperparameters per trial.

The document is read and layered here; optimisation and training are elsewhere.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from models import ModelConfig
from training.config import TrainingConfig, layered, preset_names, table
from training.constraints import explain
from training.errors import TrainingError
from training.search.sweep_ranges import Ranges, Value, parse_ranges

SWEEPS = Path(__file__).parent / "sweeps"


@dataclass(frozen=True)
class SweepPlan:
    """`title`: the file's name, bare; `fields`: the preset's, layered for the data set; `ranges`: by field."""

    title: str
    fields: Mapping[str, object]
    ranges: Ranges

    def config(self, values: Mapping[str, Value]) -> TrainingConfig:
        """Return the hyperparameters of a trial. Raises `TrainingError` where they contradict each other."""
        try:
            return TrainingConfig.model_validate(layered(self.fields, _nested(values)))
        except ValidationError as error:
            raise TrainingError("\n".join(explain(error, TrainingConfig, ModelConfig))) from None

    def digest(self) -> str:
        """Return a SHA-256, in hexadecimal, that differs where fields or ranges do."""
        ranges = {field: r.model_dump(mode="json") for field, r in self.ranges.items()}
        document = json.dumps([self.config({}).model_dump(mode="json"), ranges], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()


def read_plan(given: str, dataset: str, passes: int | None = None) -> SweepPlan:
    """Return the plan of the file `given`, or of the sweep of that name that ships, for `dataset`.

    `passes`, where given, win over the file's, and over its steps. Every end of a range and every choice is tried on
    the hyperparameters here, so that none is refused after hours. Raises `TrainingError`.
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
        fields = {**fields, "passes": passes, "steps": 0}
    plan = SweepPlan(path.stem, fields, ranges)
    _refuse_impossible(plan)
    return plan


def sweep_names() -> list[str]:
    """Return the names of the sweeps that ship, sorted."""
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
    """Put the fields of the network into a table [model]."""
    model = {field: value for field, value in values.items() if field in ModelConfig.model_fields}
    return {field: value for field, value in values.items() if field not in model} | {"model": model}
