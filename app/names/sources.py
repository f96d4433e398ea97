"""Resolve `dataset` and `model` of a request to a version or a blend."""

import re
from collections.abc import Mapping
from typing import cast

from app.schemas import ALLOWED, DECIMAL
from models import ModelRegistry, OptionError
from models.blends import Blender, Source, shares_of

# In a link: "human:0.6,animal:0.4", and "human/lstm@5,animal/lstm@5".
PAIR = re.compile(rf"([^:,]+):({DECIMAL.pattern})")
Weights = str | Mapping[str, float] | None
References = str | Mapping[str, str] | None


class SourceResolver:
    """Finds versions and blends of a registry. Safe to share between threads."""

    def __init__(self, registry: ModelRegistry, blender: Blender) -> None:
        self.registry, self.blender = registry, blender

    def find(self, dataset: Weights, model: References) -> Source:
        """Return the version or blend. Raises `OptionError`, `UnknownReference`, `CheckpointError`."""
        models = _references(model) if isinstance(model, str) else model
        if not is_blend(dataset) and (models is None or isinstance(models, str)):
            return self.registry.resolve(cast(str | None, dataset), models)
        weights = _weights(dataset) if isinstance(dataset, str) else dataset
        if weights is not None and isinstance(models, str) and "/" in models:
            models = {models.partition("/")[0]: models}
        if weights is None or isinstance(models, str):
            raise OptionError(
                "A blend of data sets takes a map of models, and one data set takes one model.",
                field="model",
                allowed="a map by data set for a blend, and one model otherwise",
            )
        models = models or {}
        shares = shares_of(weights)
        if odd := sorted(set(models) - set(shares)):
            raise OptionError(
                f"model names {', '.join(odd)}, which dataset does not mix.",
                field="model",
                allowed="a map whose keys are those of dataset",
            )
        versions = [self.registry.resolve(name, models.get(name)) for name in shares]
        return versions[0] if len(versions) == 1 else self.blender.blend(versions, tuple(shares.values()))


def is_blend(dataset: Weights) -> bool:
    """Return whether `dataset` is a blend, whose first use takes some milliseconds."""
    return dataset is not None and (not isinstance(dataset, str) or ":" in dataset)


def _weights(dataset: str) -> dict[str, float] | None:
    """Return the weights written in a link, or None for a plain name. Raises `OptionError`."""
    if ":" not in dataset:
        return None
    pairs = [PAIR.fullmatch(part) for part in dataset.split(",")]
    weights = {pair[1]: float(pair[2]) for pair in pairs if pair}
    if len(weights) < len(pairs) or any(not 0 < weight <= 1000 for weight in weights.values()):
        raise OptionError(
            f"dataset is {dataset!r}; it must be written as human:0.6,animal:0.4.",
            field="dataset",
            allowed=ALLOWED["dataset"],
        )
    return weights


def _references(model: str) -> str | dict[str, str]:
    """Return the models by data set written in a link, or a single one as it is."""
    if "," not in model:
        return model
    parts = model.split(",")
    found = {part.partition("/")[0]: part for part in parts}
    if len(found) < len(parts):
        raise OptionError("model names a data set twice.", field="model", allowed=ALLOWED["model"])
    return found
