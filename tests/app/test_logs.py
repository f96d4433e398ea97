"""Lines of the log."""

import json
import re
from typing import Any

import pytest
import structlog

from app.logs import REQUEST, RequestLines, line, set_up
from app.settings import Settings


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


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_a_requests_line_is_structlogs(capsys: pytest.CaptureFixture[str], form: str, level: str) -> None:
    """The line of a request that is written directly is, but for its time, the one that structlog writes of the same
    event, and is left out where structlog leaves it out.
    """
    settings = Settings(log_format=form, log_level=level)
    fields: dict[str, Any] = {"method": "POST", "route": "/models/{dataset}", "status": 200, "milliseconds": 0.25}
    set_up(settings)
    token = REQUEST.set("abc-1.2_3")
    structlog.get_logger().info("request", **fields)
    REQUEST.reset(token)
    expected = capsys.readouterr().err
    RequestLines(settings).write(**fields, request_id="abc-1.2_3")
    found = capsys.readouterr().err
    time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
    assert time.sub("", found) == time.sub("", expected)
    assert len(time.findall(found)) == (level != "warning")
