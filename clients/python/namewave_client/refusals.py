"""Convert an error response to an exception. No I/O: the body has been read."""

from http import HTTPStatus

import httpx

from namewave_client.errors import Refused, UnreadableAnswer, refusal
from namewave_client.problem import FieldProblem, Problem
from namewave_client.reading import JsonReader, parsed


def refused(response: httpx.Response, retry_after: float | None) -> Refused:
    """Return the exception for an error response."""
    return refusal(_problem(response), retry_after)


def _problem(response: httpx.Response) -> Problem:
    """Parse the body as a problem. A proxy may send something else, so it may be malformed."""
    status = response.status_code
    try:
        record = JsonReader(parsed(response.content))
        title, detail = record.text("title", _phrase(status)), record.text("detail", "")
        errors, code = record.records("errors", _field), record.text("code", "")
        return Problem(record.text("type", "about:blank"), title, status, detail, errors, code)
    except UnreadableAnswer:
        return Problem("about:blank", _phrase(status), status, "")


def _field(record: JsonReader) -> FieldProblem:
    return FieldProblem(record.text("field"), record.text("allowed", ""), record.texts("nearest"))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown Status"
