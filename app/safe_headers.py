"""Headers that every answer has, so that no page of ours can be made to do what it should not."""

from collections.abc import Iterable

# The two styles that ReDoc puts into its page: one without any text, to be filled by its script, and one that a part of
# it measures with. A page that holds no other is as safe as one without.
REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
# One policy for all pages: they may load what we serve ourselves, and nothing else. Swagger UI draws with pictures that
# are in its style, ReDoc searches in a worker of its own.
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {REDOC_STYLES}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", POLICY.encode()),
)


def with_safe_headers(given: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """Return these headers, the request's id, and those of `SAFE_HEADERS` that are not among them."""
    told = list(given)
    names = [name.lower() for name, _ in told]
    told.append((b"x-request-id", request_id.encode()))
    told += [header for header in SAFE_HEADERS if header[0] not in names]
    return told
