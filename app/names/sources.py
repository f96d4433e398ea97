"""Resolve `dataset`, `model` and `style` of a request to a version or a blend."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

from app.schemas import ALLOWED, DECIMAL
from models import ModelRegistry, OptionError
from models.blends import Blender, Source, shares_of
from models.store.version import Version

# In a link: "human:0.6,animal:0.4", and "human/lstm@5,animal/lstm@5".
PAIR = re.compile(rf"([^:,]+):({DECIMAL.pattern})")
Weights = str | Mapping[str, float] | None
References = str | Mapping[str, str] | None
Style = str | Mapping[str, str | int] | None


class Variant(NamedTuple):
    """A source with a value of a style; `make` returns it, and takes some milliseconds the first time."""

    style: str
    value: str
    make: Callable[[], Source]


class SourceResolver:
    """Finds versions and blends of a registry. Safe to share between threads."""

    def __init__(self, registry: ModelRegistry, blender: Blender) -> None:
        self.registry, self.blender = registry, blender

    def find(self, dataset: Weights, model: References, style: Style = None) -> Source:
        """Return the version or blend, with its style. Raises `OptionError`, `UnknownReference`, `CheckpointError`."""
        chosen = parse_style(style) if style else {}
        models = _references(model) if isinstance(model, str) else model
        if not is_blend(dataset) and (models is None or isinstance(models, str)):
            return self.registry.resolve(cast(str | None, dataset), models).styled(chosen)
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
        versions = _styled([self.registry.resolve(name, models.get(name)) for name in shares], chosen)
        return versions[0] if len(versions) == 1 else self.blender.blend(versions, tuple(shares.values()))

    def variants(self, dataset: Weights, model: References, style: Style) -> list[Variant]:
        """Return the version with each value of each of its styles, beside the values in `style`; none is made yet.

        Raises what `find` does, and `OptionError` for a blend.
        """
        version, chosen = self.find(dataset, model), parse_style(style) if style else {}
        if not isinstance(version, Version):
            raise OptionError("by_style is for one data set.", field="by_style", allowed=ALLOWED["by_style"])
        styles = version.generator.styles
        return [Variant(name, value, partial(version.styled, {**chosen, name: value})) for name, value in styles.rows]


def parse_style(style: str | Mapping[str, str | int]) -> dict[str, str]:
    """Return a style as a map of text, from a map or from how a link writes it. Raises `OptionError`."""
    if isinstance(style, str):
        pairs = [(name, value) for name, _, value in (part.partition(":") for part in style.split(","))]
    else:
        pairs = [(name, str(value)) for name, value in style.items()]
    # Styles are called as columns of a list, in lower case.
    chosen = {name.strip().lower(): value.strip() for name, value in pairs}
    if len(chosen) < len(pairs) or not all(chosen) or not all(chosen.values()):
        raise OptionError(
            f"style is {style!r}; it must be written as gender:feminine,decade:1920, each style once.",
            field="style",
            allowed=ALLOWED["style"],
        )
    return chosen


def _styled(versions: Sequence[Version], chosen: Mapping[str, str]) -> list[Version]:
    """Return the versions of a blend, each with the values of the styles that it knows.

    Raises `OptionError` for a style that none of them knows.
    """
    known = dict.fromkeys(name for version in versions for name in version.generator.styles.values)
    if odd := [name for name in chosen if name not in known]:
        keys = ", ".join(known)
        raise OptionError(
            f"No data set of the blend knows a style {odd[0]!r}; they know {keys or 'no styles'}.",
            field="style",
            allowed=f"a map whose keys are among {keys}" if keys else "left out: no data set of the blend knows styles",
        )
    return [
        version.styled({name: value for name, value in chosen.items() if name in version.generator.styles.values})
        for version in versions
    ]


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
