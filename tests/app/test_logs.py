"""Log lines: structlog's, and the access log that is written in batches."""

import asyncio
import io
import json
import logging
import os
import re
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from app.logs import REQUEST_ID, Fields, LogOutput, json_line, set_up
from app.settings import Settings
from tests.app.running import TIMEOUT
from tests.harness.service import served

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.mark.parametrize(
    "value", ["a\nb", "a\r\x1b[31m", "\u2028\x85", "\ud800", "é\udfff", 1.5, True, None, [1], {"a": 1}]
)
def test_event_is_one_line_of_ascii_and_reads_back(value: object) -> None:
    text = json_line({"event": "x", "value": value}, repr)
    assert text.isascii()
    assert len(text.splitlines()) == 1
    assert json.loads(text) == {"event": "x", "value": value}


def test_value_unknown_to_json_is_converted_by_default() -> None:
    assert json.loads(json_line({"value": json}, lambda value: "a module")) == {"value": "a module"}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_lines_during_a_request_carry_its_id(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    set_up(Settings(log_format=log_format))
    structlog.get_logger().info("before")
    token = REQUEST_ID.set("abc-1.2_3")
    structlog.get_logger().info("meanwhile")
    REQUEST_ID.reset(token)
    structlog.get_logger().info("after")
    assert ["abc-1.2_3" in line for line in capsys.readouterr().err.splitlines()] == [False, True, False]


def test_warnings_of_other_packages_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each once, however often logging is set up; their information is dropped."""
    set_up(Settings(log_format="json"))
    set_up(Settings(log_format="json"))
    # Not uvicorn: other tests run its servers, which set levels.
    for name in ("opentelemetry.sdk", "a.server"):
        logging.getLogger(name).info("news")
        logging.getLogger(name).warning("of %s\nof two lines", name)
    try:
        raise ValueError("x\ny")
    except ValueError:
        logging.getLogger("a.stranger").exception("failed")
    lines = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("of opentelemetry.sdk\nof two lines", "warning"),
        ("of a.server\nof two lines", "warning"),
        ("failed", "error"),
    ]
    assert "ValueError" in lines[2]["exception"]
    assert {line["process"] for line in lines} == {os.getpid()}


@pytest.mark.parametrize(
    "fields", [(), (("owner", "é\n% %(id)s"),), (("owner", "a"), ("cut", "deadline"))], ids=["none", "odd", "two"]
)
@pytest.mark.parametrize("route", ["/generate", "(none)", '/a b/{c}"%d'])
@pytest.mark.parametrize("seconds", [0.0, 0.000004, 0.12345, 12.0, 123456.789])
@pytest.mark.parametrize(("form", "colours"), [("json", False), ("console", False), ("console", True)])
def test_access_line_is_that_of_structlog(
    form: Any,
    colours: bool,
    route: str,
    seconds: float,
    fields: Fields,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: colours)
    lines = set_up(Settings(log_format=form))
    line = {"request_id": "ab.c-1_2", "method": "POST", "route": route, "status": 200}
    structlog.get_logger().info("request", **line, milliseconds=round(seconds * 1000, 2), **dict(fields))
    lines.add("ab.c-1_2", "POST", route, 200, seconds, fields)
    lines.close()
    ordinary, fast = capsys.readouterr().err.splitlines()
    if form == "json":
        # structlog puts the event behind the fields of its call.
        read = [json.loads(TIMESTAMP.sub("", text)) for text in (fast, ordinary)]
        assert read[0] == read[1]
        assert list(read[0])[:2] == ["event", "request_id"]
    else:
        assert TIMESTAMP.sub("", fast) == TIMESTAMP.sub("", ordinary)
    first, second = (datetime.fromisoformat(TIMESTAMP.findall(text)[0]) for text in (ordinary, fast))
    assert timedelta(0) <= second - first < timedelta(hours=1)


@pytest.mark.parametrize(
    ("form", "level", "lines"), [("json", "warning", 0), ("console", "warning", 0), ("console", "info", 1)]
)
def test_access_log_obeys_the_level(capsys: pytest.CaptureFixture[str], form: Any, level: Any, lines: int) -> None:
    writer = set_up(Settings(log_format=form, log_level=level))
    writer.add("abc", "GET", "/", 200, 0.1)
    writer.close()
    assert len(capsys.readouterr().err.splitlines()) == lines


class Stream(io.StringIO):
    """A stream that keeps what each write wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


async def test_lines_of_one_turn_of_the_event_loop_are_one_write() -> None:
    """Others come behind what waits, so that lines keep their order; `flush` and `close` leave nothing."""
    stream = Stream()
    output = LogOutput(stream)
    output.write_later("a\n")
    output.write_later("b\n")
    assert stream.written == []
    await asyncio.sleep(0)
    assert stream.written == ["a\nb\n"]
    output.write_later("c\n")
    output.write("d\n")
    await asyncio.sleep(0)
    output.write_later("e\n")
    output.close()
    output.write_later("f\n")
    assert stream.written == ["a\nb\n", "c\nd\n", "e\n", "f\n"]


async def test_line_behind_another_threads_line_leaves_in_this_turn() -> None:
    """A thread appends and is about to write: what the loop adds then waits for a flush of its own."""
    stream = Stream()
    output = LogOutput(stream)
    output._waiting.append("of a thread\n")
    output.write_later("of the loop\n")
    await asyncio.sleep(0)
    assert stream.written == ["of a thread\nof the loop\n"]


def test_log_call_during_a_write_does_not_wait_for_itself() -> None:
    """As by a finaliser that the garbage collector runs."""

    class Logging(Stream):
        def write(self, text: str) -> int:
            if "finaliser" not in text:
                output.write("finaliser\n")
            return super().write(text)

    stream = Logging()
    output = LogOutput(stream)
    output.write("first\n")
    assert sorted(stream.written) == ["finaliser\n", "first\n"]


def test_service_without_standard_error_logs_to_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    set_up(Settings(log_format="json"))
    structlog.get_logger().info("started")
    assert '"event":"started"' in capsys.readouterr().out


def test_lines_outside_an_event_loop_are_written_at_once() -> None:
    stream = Stream()
    LogOutput(stream).write_later("a\n")
    assert stream.written == ["a\n"]


def test_lines_of_many_threads_are_all_written_once() -> None:
    stream = Stream()
    output = LogOutput(stream)

    def write(thread: int) -> None:
        for i in range(500):
            output.write(f"{thread} {i}\n")

    async def write_later() -> None:
        for i in range(500):
            output.write_later(f"loop {i}\n")
            await asyncio.sleep(0)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    asyncio.run(write_later())
    for thread in threads:
        thread.join()
    output.close()
    lines = "".join(stream.written).splitlines()
    names = ["0", "1", "2", "loop"]
    assert sorted(lines) == sorted(f"{name} {i}" for name in names for i in range(500))
    for name in names:
        assert [line for line in lines if line.startswith(name)] == [f"{name} {i}" for i in range(500)]


def test_sigterm_loses_no_line_of_an_answered_request() -> None:
    with served(NAMEWAVE_LOG_FORMAT="json") as service:
        ids = [f"id-{i}" for i in range(20)]
        with httpx.Client(base_url=service.address, timeout=TIMEOUT) as client:
            for name in ids:
                assert client.get("/next", headers={"x-request-id": name}).status_code == 200
            assert service.stop()[0] == 0
        logged = [json.loads(line).get("request_id") for line in service.lines()]
    assert [name for name in logged if name in ids] == ids
