"""Read request headers from the ASGI scope, and the headers that every answer has."""

from collections.abc import Iterable, Mapping

from starlette.types import Scope

# The two styles that ReDoc puts into its page: an empty one, and one that it measures with.
REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
# Pages may load what this service serves, and nothing else. Swagger UI draws with data: pictures, the playground shows
# pictures that need a key as blob:, ReDoc searches in a blob: worker.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {REDOC_STYLES}; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
)
SECURITY_NAMES = frozenset(dict(SECURITY_HEADERS))
# Key of the ASGI scope that holds `first_values`.
GIVEN = "namewave.headers"


def get_all(scope: Scope, name: bytes) -> list[str]:
    """Return the values of all headers called `name`, which is in lower case as in the scope."""
    return [str(value, "latin-1") for key, value in scope["headers"] if key == name]


def first_values(scope: Scope) -> dict[bytes, bytes]:
    """Return each header's first value by its name, which is in lower case."""
    return dict(reversed(scope["headers"]))


def encoded(fields: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as an ASGI message has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]


def with_common_headers(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """Return `headers` with X-Request-ID, and with those of `SECURITY_HEADERS` that are not among them."""
    common = [*headers, (b"x-request-id", request_id.encode())]
    given = dict(common)
    if given.keys().isdisjoint(SECURITY_NAMES):
        return [*common, *SECURITY_HEADERS]
    return [*common, *(header for header in SECURITY_HEADERS if header[0] not in given)]
