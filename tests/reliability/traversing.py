"""Asks the service for every string on standard input as a name of something, and prints which statuses there were and
which files outside the stores were opened meanwhile. Run by `test_traversal`.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import quote, unquote

import anyio
import httpx
from starlette.types import ASGIApp, Message

from app.main import create_app
from app.settings import Settings
from models.registry import SHIPPED


async def main(strings: list[str]) -> None:
    """Ask, and print."""
    opened: set[str] = set()
    watching = False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir", "os.open"):
            opened.add(str(arguments[0]))

    sys.addaudithook(hook)
    store = Path(tempfile.mkdtemp())
    app = create_app(Settings(store=store, log_level="error", refresh=0))
    statuses: Counter[int] = Counter()
    async with app.router.lifespan_context(app) as state:

        async def served(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as client:
            await client.get("/models/human/lstm/latest/files/card.md")
            await client.get("/generate?count=500&dataset=human")
            watching = True
            for text in strings:
                for address in (
                    f"/models/{text}/lstm/1",
                    f"/models/human/{text}/1",
                    f"/models/human/lstm/{text}",
                    f"/models/human/lstm/latest/files/{text}",
                    f"/docs/assets/{text}",
                    f"/generate?dataset={quote(text)}",
                    f"/generate?model={quote(text)}",
                ):
                    statuses[await status_of(served, address)] += 1
                for body in ({"dataset": text}, {"model": text}, {"dataset": {text: 1}}):
                    statuses[(await client.post("/generate", json=body)).status_code] += 1
            outside = sorted(path for path in opened if not is_inside(path, store))
            # That the hook sees what is opened: a file of a version.
            await client.get("/models/human/lstm/latest/files/names.txt")
            watching = False
    seen = any(path.endswith("names.txt") for path in opened)
    print(json.dumps({"asked": statuses.total(), "statuses": statuses, "opened": outside, "seen": seen}))  # noqa: T201


async def status_of(app: ASGIApp, address: str) -> int:
    """The status of a GET, of the address as it is written: httpx would tidy it."""
    path, _, query = address.partition("?")
    told: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told.append(int(message["status"]))

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "root_path": ""}
    scope |= {"path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "headers": []}
    await app(scope, receive, send)
    return told[0]


def is_inside(path: str, store: Path) -> bool:
    """Whether a path leads into one of the stores, wherever its links lead."""
    try:
        place = Path(path).resolve()
    except ValueError:
        return False
    return place.is_relative_to(SHIPPED.resolve()) or place.is_relative_to(store.resolve())


if __name__ == "__main__":
    anyio.run(main, json.load(sys.stdin))
