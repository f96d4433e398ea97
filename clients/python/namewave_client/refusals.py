"""From an error's answer to the exception that tells it. No I/O: the body was read."""

from http import HTTPStatus

import httpx

from namewave_client.errors import Refused, UnreadableAnswer, refusal
from namewave_client.problem import FieldProblem, Problem
from namewave_client.reading import Record, parsed


def refused(response: httpx.Response, retry_after: float | None) -> Refused:
    """Return the exception for an answer that is none of those that were hoped for."""
    return refusal(_problem(response), retry_after)


def _problem(response: httpx.Response) -> Problem:
    """Return the problem that the body is. What stands between, such as a proxy, may say something else."""
    status = response.status_code
    try:
        record = Record(parsed(response.content))
        title, detail = record.text("title", _phrase(status)), record.text("detail", "")
        errors, code = record.records("errors", _field), record.text("code", "")
        return Problem(record.text("type", "about:blank"), title, status, detail, errors, code)
    except UnreadableAnswer:
        return Problem("about:blank", _phrase(status), status, "")


def _field(record: Record) -> FieldProblem:
    return FieldProblem(record.text("field"), record.text("allowed", ""), record.texts("nearest"))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown Status"
