"""Lines of the log as JSON."""

import json

import pytest

from app.logs import line


@pytest.mark.parametrize(
    "value", ["a\nb", "a\r\x1b[31m", "\u2028\x85", "\ud800", "é\udfff", 1.5, True, None, [1], {"a": 1}]
)
def test_a_line_stays_one_line_of_ascii(value: object) -> None:
    """Whatever a value holds, half a surrogate pair too, the event is one line of ASCII that reads back as it was."""
    text = line({"event": "x", "value": value}, repr)
    assert text.isascii()
    assert len(text.splitlines()) == 1
    assert json.loads(text) == {"event": "x", "value": value}


def test_what_json_does_not_know_is_described() -> None:
    """A value of any other kind is told by `default`."""
    assert json.loads(line({"value": json}, lambda value: "a module")) == {"value": "a module"}
