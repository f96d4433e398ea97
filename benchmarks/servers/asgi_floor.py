"""The lowest floor: a raw ASGI application that reads the body and sends constant bytes."""

from starlette.types import Receive, Scope, Send

from benchmarks.servers.constant import constant_names
from benchmarks.servers.uvicorn_run import answer, run_app

BODIES = {
    count: answer(None, "human/constant@1", constant_names(count)).model_dump_json().encode() for count in (1, 20)
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request for 20 names, or for one, with the same bytes."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    count = int(body.partition(b'"count":')[2].partition(b",")[0])
    if count not in BODIES:
        BODIES[count] = answer(None, "human/constant@1", constant_names(count)).model_dump_json().encode()
    content = BODIES[count]
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    run_app(app)
