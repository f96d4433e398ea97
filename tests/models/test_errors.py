"""The error tree, as drawn in its module and safe to show."""

import inspect
import re

import pytest

import models
from models import errors
from models.errors import ModelError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


def drawn_parents() -> dict[str, str]:
    """Each class of the drawing with its parent, by the column where its name starts."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in str(inspect.getdoc(errors)).splitlines():
        if not (found := re.fullmatch(r"[ │├└─]*?([A-Z][A-Za-z]+)(?:   +.*)?", line)):
            continue
        column = found.start(1)
        above = [(other, name) for other, name in above if other < column]
        parents[found[1]] = above[-1][1] if above else "Exception"
        above.append((column, found[1]))
    return parents


def test_documented_error_tree_is_the_real_one() -> None:
    assert drawn_parents() == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}
    assert drawn_parents()["OptionError"] == "ModelError"
    assert all(issubclass(kind, ModelError) for kind in CLASSES)


def test_every_error_is_exported_by_models() -> None:
    assert {kind.__name__ for kind in CLASSES} <= set(models.__all__)


@pytest.mark.parametrize("kind", CLASSES)
def test_error_keeps_safe_details_apart_from_its_message(kind: type[ModelError]) -> None:
    error = kind("You gave x.", field="count", allowed="1 to 10", nearest=["human"])
    assert (str(error), error.field, error.allowed, error.nearest) == ("You gave x.", "count", "1 to 10", ("human",))
    bare = kind("You gave x.")
    assert (bare.field, bare.allowed, bare.nearest) == ("", "", ())
