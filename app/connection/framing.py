"""Which heads are read: those that mean the same to every server, and are not too large. What is done about others, is
not known here.
"""

from collections.abc import Sequence

# Two of these in one request mean different things to different servers (RFC 9112, sections 3.2 and 6.3).
ONCE = (b"host", b"content-length", b"transfer-encoding")
VERSIONS = ("1.0", "1.1")
# Bytes of the address and all headers of a request (its trailers, too), and their number.
MAX_HEAD_BYTES, MAX_HEADERS = 16_384, 100


def is_plain(version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say whether a request of HTTP `version`, its headers' names in lower case, ends where any server says it does."""
    names = [name for name, _ in headers]
    if version not in VERSIONS:
        return False
    for name in ONCE:
        if names.count(name) > 1:
            return False
    if b"transfer-encoding" in names:
        value = headers[names.index(b"transfer-encoding")][1]
        return version == "1.1" and b"host" in names and value.lower() == b"chunked"
    return version == "1.0" or b"host" in names
