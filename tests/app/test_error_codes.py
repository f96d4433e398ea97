"""The codes of errors: stable, documented, and the same in answers and in the metrics."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from app.web.errors import CODES, OVERLOADED, UNKNOWN_FIELD_CODE
from tests.harness.app_client import app_client, problem_of

pytestmark = pytest.mark.anyio
DOCUMENT = Path(__file__).parents[2] / "docs/api.md"
BODY = {"content-type": "application/json"}
REFUSED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/generate", {"content": b"{", "headers": BODY}, 400, "unreadable_request"),
    ("GET", "/models", {"headers": {"x-api-key": "wrong"}}, 401, "unauthorized"),
    ("GET", "/nowhere", {}, 404, "not_found"),
    ("GET", "/generate?dataset=elfs", {}, 404, "not_found"),
    ("PUT", "/generate", {}, 405, "method_not_allowed"),
    ("GET", "/generate?dataset=elves", {"headers": {"accept": "image/png"}}, 406, "not_acceptable"),
    ("POST", "/generate", {"content": b" " * 20_000, "headers": BODY}, 413, "body_too_large"),
    ("POST", "/generate", {"content": b"{}"}, 415, "unsupported_media_type"),
    ("GET", "/generate?count=0", {}, 422, "invalid_field"),
    ("GET", "/generate?cuont=0", {}, 422, "unknown_field"),
    ("GET", "/generate?dataset=elves&prefix=7", {}, 422, "invalid_field"),
]


@pytest.mark.parametrize(("method", "path", "sent", "status", "code"), REFUSED)
async def test_error_has_its_code_in_answer_and_metrics(
    settings: Settings, tmp_path: Path, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{'0' * 64} alice\n")
    async with app_client(settings, keys=keys if status == 401 else None) as client:
        assert problem_of(await client.request(method, path, **sent), status)["code"] == code
        counted = code if code != UNKNOWN_FIELD_CODE else "invalid_field"
        metrics = client.service.metrics.exposition("")[0].decode()
        assert f'namewave_requests_refused_total{{reason="{counted}"}} 1.0' in metrics


async def test_rate_limit_has_its_code(settings: Settings) -> None:
    async with app_client(settings, limit=100) as client:
        await client.get("/info")
        assert problem_of(await client.get("/info"), 429)["code"] == "rate_limit_exceeded"


def test_every_code_is_documented_with_its_status() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE))
    codes = {code: str(int(status)) for status, code in CODES.items()}
    assert rows == codes | {OVERLOADED: "503", UNKNOWN_FIELD_CODE: "422"}
