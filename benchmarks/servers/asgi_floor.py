"""The lowest floor: a raw ASGI application that reads the body and sends constant bytes."""

from functools import cache

from starlette.types import Receive, Scope, Send

from benchmarks.servers.constant import constant_names
from benchmarks.servers.uvicorn_run import answer, run_app


@cache
def content_of(count: int) -> bytes:
    """Return the body of an answer with `count` names."""
    return answer(None, "human/constant@1", constant_names(count)).model_dump_json().encode()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request for the same number of names with the same bytes."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    count = int(body.partition(b'"count":')[2].partition(b",")[0])
    content = content_of(count)
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    run_app(app)
