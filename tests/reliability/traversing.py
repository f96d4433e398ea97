"""Sends strings that try to leave a folder as names; prints statuses and the files opened outside the stores."""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import quote, unquote

import anyio
from starlette.types import Message

from app.main import create_app
from app.settings import Settings
from models.store.registry import SHIPPED

DOTS = ("..", ".", "...", "..;", ".%2e", "%2e%2e", "%252e%252e", "%c0%ae%c0%ae", "..%00", "..%0a", "%2e%2e%2f", "..\\")
DOTS = (*DOTS, "..%5c", "%uff0e%uff0e", "/", "//", "~", "", " ", "%20", "file:", "C:", "\\\\x")
SLASHES = ("/", "%2f", "%252f", "%5c", "\\", "%c0%af")
TARGETS = ("etc/passwd", "etc%2fpasswd%00.png", "manifest.json", "human", "aliases.json")
TRAVERSALS = sorted({f"{(dot + slash) * n}{t}" for dot in DOTS for slash in SLASHES for n in (1, 4) for t in TARGETS})
STRINGS = TRAVERSALS[::2]


def targets(text: str) -> list[tuple[str, bytes]]:
    """Return the requests for one string: address and body, empty for GET."""
    links = [
        f"/models/{text}/lstm/1",
        f"/models/human/{text}/1",
        f"/models/human/lstm/{text}",
        f"/models/human/lstm/latest/files/{text}",
        f"/docs/assets/{text}",
        f"/generate?dataset={quote(text)}",
        f"/generate?model={quote(text)}",
    ]
    bodies = [{"dataset": text}, {"model": text}, {"dataset": {text: 1}}]
    return [(link, b"") for link in links] + [("/generate", json.dumps(body).encode()) for body in bodies]


async def main() -> None:
    opened: set[str] = set()
    watching = False
    statuses: Counter[int] = Counter()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir", "os.open"):
            opened.add(str(arguments[0]))

    async def send(address: str, body: bytes = b"") -> None:
        # Not by httpx, which would normalize the path.
        path, _, query = address.partition("?")
        scope = {"type": "http", "http_version": "1.1", "method": "POST" if body else "GET", "scheme": "http"}
        scope |= {"path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": ""}
        scope |= {"headers": [(b"content-type", b"application/json")] if body else [], "state": dict(state)}

        requests = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if not requests:
                await anyio.sleep_forever()
            return requests.pop()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses[int(message["status"])] += 1

        await app(scope, receive, note)

    sys.addaudithook(hook)
    store = Path(tempfile.mkdtemp())
    app = create_app(Settings(store=store, log_level="error", refresh=0))
    async with app.router.lifespan_context(app) as state:
        await send("/models/human/lstm/latest/files/card.md")
        await send("/generate?count=500&dataset=human")
        statuses.clear()
        watching = True
        for text in STRINGS:
            for address, body in targets(text):
                await send(address, body)
        outside, asked = sorted(path for path in opened if not is_inside(path, store)), dict(statuses)
        # The hook must see a file of a version.
        await send("/models/human/lstm/latest/files/names.txt")
        watching = False
    seen = any(path.endswith("names.txt") for path in opened)
    print(json.dumps({"statuses": asked, "opened": outside, "seen": seen}))  # noqa: T201


def is_inside(path: str, store: Path) -> bool:
    """Return whether a path leads into one of the stores, wherever its links lead."""
    try:
        place = Path(path).resolve()
    except ValueError:
        return False
    return place.is_relative_to(SHIPPED.resolve()) or place.is_relative_to(store.resolve())


if __name__ == "__main__":
    anyio.run(main)
