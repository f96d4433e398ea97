"""Files as answers: with ETag, compressed where that is accepted, and made in a thread."""

import gzip
from collections.abc import Callable

import anyio.to_thread
from fastapi import Request, Response

from app.web import headers
from app.web.caching import is_known
from app.web.errors import NOT_MODIFIED
from app.web.negotiation import accepts_gzip

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "png": "image/png",
}
# All others are compressed already, or do not get smaller.
COMPRESSED = frozenset(MEDIA_TYPES) - {"png"}
ANY = "application/octet-stream"
# Bytes below which compression saves no packet.
MIN_COMPRESSED = 1024


def compress(content: bytes) -> bytes:
    """Return gzip's form of a file, the same for the same content."""
    return gzip.compress(content, 6, mtime=0)


async def file_response(
    request: Request,
    name: str,
    digest: str,
    size: int,
    read: Callable[[], bytes],
    read_compressed: Callable[[], bytes] | None = None,
) -> Response:
    """Return the file `name` of `size` bytes, or 304. `digest`: a hash of its content.

    `read` and `read_compressed` run in a thread, and only if the client has not got this content.
    """
    suffix = name.rpartition(".")[2]
    smaller = suffix in COMPRESSED and size >= MIN_COMPRESSED
    compressed = smaller and accepts_gzip(headers.get_all(request.scope, b"accept-encoding"))
    etag = f'"{digest[:32]}{"-gzip" if compressed else ""}"'
    # Caches ask each time, so that a new version shows at once.
    fields = {"ETag": etag, "Cache-Control": "no-cache"}
    if smaller:
        fields["Vary"] = "Accept-Encoding"
    if is_known(etag, headers.get_all(request.scope, b"if-none-match")):
        return Response(status_code=NOT_MODIFIED, headers=fields)
    if compressed:
        fields["Content-Encoding"] = "gzip"
        read = read_compressed or (lambda plain=read: compress(plain()))  # type: ignore[misc]
    content = await anyio.to_thread.run_sync(read)
    return Response(content, media_type=MEDIA_TYPES.get(suffix, ANY), headers=fields)
