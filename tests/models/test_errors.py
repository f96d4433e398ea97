"""The error tree: as drawn in its module, and safe to show."""

import inspect
import re

import pytest

import models
from models import OptionError, errors
from models.errors import ModelError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


def drawn() -> dict[str, str]:
    """Each class of the drawing with the class that it hangs from, by the column where its name starts."""
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


def test_the_drawing_is_the_tree() -> None:
    """The tree in the module's docstring holds exactly the module's classes, each under its real parent."""
    assert drawn() == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES}
    assert drawn()["OptionError"] == "ModelError"


def test_every_error_is_on_the_face_of_the_room() -> None:
    """Whoever catches an error can import it from `models`."""
    assert {kind.__name__ for kind in CLASSES} <= set(models.__all__)


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_carries_what_is_safe_apart_from_its_message(kind: type[ModelError]) -> None:
    """The message is `str(error)`; field, allowed and nearest stand beside it, and are empty where not given."""
    error = kind("You gave x.", field="count", allowed="1 to 10", nearest=["human"])
    assert (str(error), error.field, error.allowed, error.nearest) == ("You gave x.", "count", "1 to 10", ("human",))
    bare = kind("You gave x.")
    assert (bare.field, bare.allowed, bare.nearest) == ("", "", ())


def test_one_catch_is_enough() -> None:
    """Every error of the room is caught as a ModelError."""
    with pytest.raises(ModelError):
        raise OptionError("no")
    assert all(issubclass(kind, ModelError) for kind in CLASSES)
