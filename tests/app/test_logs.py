"""Lines of the log."""

import json
import logging
import os
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from app.logs import REQUEST, line, set_up
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
def test_every_line_carries_the_requests_id(capsys: pytest.CaptureFixture[str], form: str) -> None:
    """While a request is answered, each line has its id, whoever writes it; before and after, none has."""
    set_up(Settings(log_format=form))
    structlog.get_logger().info("before")
    token = REQUEST.set("abc-1.2_3")
    structlog.get_logger().info("meanwhile")
    REQUEST.reset(token)
    structlog.get_logger().info("after")
    assert ["abc-1.2_3" in text for text in capsys.readouterr().err.splitlines()] == [False, True, False]


def test_strangers_write_lines_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """What other packages log, from a warning on, is one JSON object a line with the process; their news are not."""
    set_up(Settings(log_format="json"))
    set_up(Settings(log_format="json"))
    # Not uvicorn itself: other tests run servers of it here, each with a level of its own.
    for name in ("opentelemetry.sdk", "a.server"):
        logging.getLogger(name).info("news")
        logging.getLogger(name).warning("of %s\nof two lines", name)
    try:
        raise ValueError("x\ny")
    except ValueError:
        logging.getLogger("a.stranger").exception("failed")
    told = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [each["event"] for each in told] == [
        "of opentelemetry.sdk\nof two lines",
        "of a.server\nof two lines",
        "failed",
    ]
    assert [each["level"] for each in told] == ["warning", "warning", "error"]
    assert "ValueError" in told[2]["exception"]
    assert {each["process"] for each in told} == {os.getpid()}


@pytest.mark.parametrize("told", [{}, {"route": "/a", "status": 503, "milliseconds": 0.25}, {"owner": "é\n\ud800"}])
def test_the_straight_way_writes_what_structlog_does(capsys: pytest.CaptureFixture[str], told: dict[str, Any]) -> None:
    """The line of a request is the one that structlog writes of the same event, but for the time and the order."""
    set_up(Settings(log_format="json"))([{"event": "request", "request_id": "abc", **told}] * 2)
    structlog.get_logger().info("request", request_id="abc", **told)
    straight, again, ordinary = (json.loads(text) for text in capsys.readouterr().err.splitlines())
    assert straight == again
    times = [line.pop("timestamp") for line in (straight, ordinary)]
    assert straight == ordinary
    assert straight["request_id"] == "abc"
    first, second = (datetime.fromisoformat(time) for time in times)
    assert timedelta(0) <= second - first < timedelta(minutes=1)
    assert all(time.endswith("Z") for time in times)


@pytest.mark.parametrize(
    ("form", "level", "lines"), [("json", "warning", 0), ("console", "warning", 0), ("console", "info", 1)]
)
def test_the_straight_way_keeps_to_form_and_level(
    capsys: pytest.CaptureFixture[str], form: Any, level: Any, lines: int
) -> None:
    """Where lines are for people, or news are not wanted, a request is told as structlog tells it."""
    set_up(Settings(log_format=form, log_level=level))([{"event": "request", "request_id": "abc"}])
    assert len(capsys.readouterr().err.splitlines()) == lines
