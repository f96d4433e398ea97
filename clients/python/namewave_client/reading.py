"""Convert JSON to typed values.

Unknown fields are ignored, so that the client can read the answers of a newer service. An error names a field that is
missing or has the wrong type.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from namewave_client.errors import UnreadableAnswer

T = TypeVar("T")
Shares = str | Mapping[str, float]
References = str | Mapping[str, str]


class JsonReader:
    """Reads the fields of a JSON object.

    Every method raises `UnreadableAnswer` for a missing field or a wrong type. With a default, the field may be missing
    or null.
    """

    def __init__(self, value: object, place: str = "the answer") -> None:
        if not isinstance(value, dict):
            raise UnreadableAnswer(f"{place} is not a JSON object.")
        self._fields: dict[str, Any] = value
        self._place = place

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string."""
        return self._read(name, _text, default)

    def maybe_text(self, name: str) -> str | None:
        """Return a string, None if the field is missing."""
        return None if self._fields.get(name) is None else self.text(name)

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number."""
        return self._read(name, _whole, default)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number."""
        return self._read(name, _number, default)

    def maybe_number(self, name: str) -> float | None:
        """Return a number, None if the field is missing."""
        return None if self._fields.get(name) is None else self.number(name)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return true or false."""
        return self._read(name, _flag, default)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings, empty if the field is missing."""
        return self._read(name, _list_of(_text), ())

    def records(self, name: str, parse: Callable[["JsonReader"], T]) -> tuple[T, ...]:
        """Return a list of parsed objects, empty if the field is missing."""
        return self._read(name, _list_of(lambda item: parse(JsonReader(item, f"an item of {name}"))), ())

    def names(self, name: str, parse: Callable[["JsonReader"], T]) -> tuple[str | T, ...]:
        """Return a list of strings or parsed objects."""
        either = _list_of(lambda item: item if isinstance(item, str) else parse(JsonReader(item, f"an item of {name}")))
        return self._read(name, either, None)

    def record(self, name: str) -> "JsonReader":
        """Return an object."""
        return self._read(name, lambda value: JsonReader(value, name), None)

    def maybe_record(self, name: str) -> "JsonReader | None":
        """Return an object, None if the field is missing."""
        return None if self._fields.get(name) is None else self.record(name)

    def counts(self, name: str) -> Mapping[str, int]:
        """Return whole numbers by name, empty if the field is missing."""
        return self._read(name, _map_of(_whole), {})

    def numbers(self, name: str) -> Mapping[str, float]:
        """Return numbers by name, empty if the field is missing."""
        return self._read(name, _map_of(_number), {})

    def texts_by_name(self, name: str) -> Mapping[str, str]:
        """Return strings by name, empty if the field is missing."""
        return self._read(name, _map_of(_text), {})

    def lists_by_name(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """Return lists of strings by name, empty if the field is missing."""
        return self._read(name, _map_of(_list_of(_text)), {})

    def maybe_numbers_by_names(self, name: str) -> Mapping[str, Mapping[str, float]] | None:
        """Return numbers by two names, None if the field is missing."""
        return None if self._fields.get(name) is None else self._read(name, _map_of(_map_of(_number)), None)

    def anything(self, name: str) -> Mapping[str, Any]:
        """Return an object as it is, an empty one where there is none."""
        return self._read(name, _map_of(lambda value: value), {})

    def shares(self, name: str) -> Shares:
        """Return a text, or numbers by name: a data set or the shares of a blend."""
        return self._read(name, lambda value: value if isinstance(value, str) else _map_of(_number)(value), None)

    def references(self, name: str) -> References:
        """Return a text, or texts by name: a model or those of a blend."""
        return self._read(name, lambda value: value if isinstance(value, str) else _map_of(_text)(value), None)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def _read(self, name: str, read: Callable[[Any], T], default: T | None) -> T:
        value = self._fields.get(name)
        if value is None and default is not None:
            return default
        try:
            return read(value)
        except TypeError:
            raise UnreadableAnswer(f"{name} of {self._place} is missing, or not of its type.") from None


def parsed(content: bytes | str, place: str = "the answer") -> Any:
    """Return what JSON says. Raises `UnreadableAnswer`."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableAnswer(f"{place} is no JSON.") from None


def list_in(content: bytes, parse: Callable[[JsonReader], T]) -> tuple[T, ...]:
    """Return the parsed objects of a JSON list. Raises `UnreadableAnswer`."""
    value = parsed(content)
    if not isinstance(value, list):
        raise UnreadableAnswer("the answer is no JSON list.")
    return tuple(parse(JsonReader(item, "an item of the answer")) for item in value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    # In Python, True is an int.
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError
    return value


def _list_of(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    def read_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise TypeError
        return tuple(map(read, value))

    return read_all


def _map_of(read: Callable[[Any], T]) -> Callable[[Any], Mapping[str, T]]:
    def read_all(value: Any) -> Mapping[str, T]:
        if not isinstance(value, dict):
            raise TypeError
        return {key: read(item) for key, item in value.items()}

    return read_all
