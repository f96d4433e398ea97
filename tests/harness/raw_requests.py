"""Raw requests for fuzzing: valid ones, mutated with a dictionary of tokens that hurt parsers.

A request depends on (seed, number) alone, so that a failure can be reproduced.
"""

import json
import random
from collections.abc import Callable, Sequence

# Tokens for JSON bodies, queries and paths, and heads.
JSON_TOKENS = (
    b"NaN", b"-NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"0.05000000000000001", b"5e-324",
    b'"NaN"', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"', b"\x00", b'"\\u202e"', b"\xff\xfe", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"[" * 30, b"[" * 5_000, b'{"a":' * 2_000, b"]" * 30, b"9" * 4_000, b"9" * 5_000, b"-0", b"0x10",
    b"01", b"1_0", b"true", b"null", b'{"count":1,"count":2}', b'"seed":1,"seed":2,', b"{}", b"[]", b'""', b'"', b"\\",
    b"9007199254740992", b"-1", b"1.0", b"1e3", b"/**/", b"'a'", b"\r\n", b'"\\x41"', b"\xc3\x28", b"\xf0\x9f\xa6\x84",
    b'"a\xcc\x81"', b'"dataset"', b'"names":[]', b'"__proto__"', b'"prefix":"\\u0130"', b"\xe2\x80\xa8", b'"[[[[{{{{"',
)  # fmt: skip
TEXT_TOKENS = (
    b"%00", b"%0a", b"%0d%0a", b"%ff", b"%ed%a0%80", b"%", b"%%", b"%zz", b"..", b"../", b"%2e%2e%2f", b"%252e", b"\\",
    b";", b"&", b"&&", b"=", b"+", b"%20", b"?", b"#", b"//", b"NaN", b"1e999", b"-1", b"9" * 400, b"count=1&count=2",
    b"&seed=1", b"&temperature=nan", b"&prefix=%C4%B0", b"&model=human%2Flstm", b"&dataset=human:0.5,animal:nan", b"@",
    b"{", b"}", b"[0]", b"$", b"~", b"a" * 3_000, b"\xc3\xa9", b"\x7f", b"\x1b[31m", b"&pattern=" + b"*a" * 30,
)  # fmt: skip
HEAD_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n", b"Expect: x\r\n", b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"Connection: close\r\n",
    b"Host: y\r\n", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"X: " + b"a" * 20_000 + b"\r\n", b"X: 1\r\n" * 120,
    b"\xff", b"Accept: */*;q=nan\r\n", b"Accept: text/csv\r\n", b"Accept: " + b"a/b," * 500 + b"\r\n", b"\x16\x03\x01",
    b"If-None-Match: *\r\n", b'If-None-Match: "\r\n', b"X-Request-ID: a\x1b[2Jb\r\n", b"X-Request-ID: " + b"z" * 65,
    b"Content-Encoding: gzip\r\n", b"Content-Type: application/json; charset=utf-16\r\n", b" folded",
    b"Cookie: a=b\r\n",    b"Range: bytes=0-\r\n", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"ffffffffffffffff\r\n",
)  # fmt: skip
NAMES = [f"[{{{k}}}]" for k in range(30)]
BODIES: tuple[tuple[bytes, object], ...] = (
    (b"/generate", {"count": 3, "seed": 1, "temperature": 0.8}),
    (b"/generate", {"dataset": "human", "prefix": "ma", "details": True, "max_length": 6, "count": 2}),
    (b"/generate", {"dataset": {"human": 1, "animal": 0.5}, "count": 2, "sort": "likelihood", "seed": 3}),
    (b"/generate", {"contains": "ar", "ends_with": "a", "excludes": "z", "pattern": "?a*a", "max_attempts": 500}),
    (b"/score", {"names": ["Anna", "Xqzt", "þ", ""], "dataset": "human"}),
    (b"/score", {"names": NAMES}),
)
PATHS = (
    b"/generate?count=2&seed=1", b"/generate?dataset=human%3A0.6%2Canimal%3A0.4&count=2", b"/next?prefix=mar",
    b"/next?temperature=0.8", b"/models", b"/datasets", b"/models/human/lstm/latest", b"/health/ready", b"/info",
    b"/models/human/lstm/latest/files/card.md",
    b"/openapi.json", b"/docs", b"/docs/assets/docs.js", b"/metrics", b"/", b"*", b"http://x/generate?seed=1",
)  # fmt: skip
METHODS = (b"GET", b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"DELETE", b"CONNECT", b"TRACE", b"get", b"QQ")
ACCEPTS = (b"application/json", b"text/plain", b"text/csv", b"application/x-ndjson", b"*/*", b"image/png")


def request(seed: int, number: int) -> list[bytes]:
    """Return the pieces of request `number` of a seed."""
    chance = random.Random(f"{seed}/{number}")
    make: Callable[[random.Random], bytes] = chance.choice((_body, _body, _query, _query, _head, _chunks))
    data = make(chance)
    if chance.random() < 0.05:
        data = data[: chance.randrange(len(data) + 1)]
    return _split(chance, data, chance.randrange(1, 5)) if chance.random() < 0.2 else [data]


def _body(chance: random.Random) -> bytes:
    path, value = chance.choice(BODIES)
    body = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode()
    return _post(chance, path, mutate(chance, body, JSON_TOKENS))


def _post(chance: random.Random, path: bytes, body: bytes) -> bytes:
    length = len(body) if chance.random() < 0.95 else max(0, len(body) + chance.randrange(-5, 6))
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nAccept: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path, chance.choice(ACCEPTS), length) + body


def _query(chance: random.Random) -> bytes:
    path = mutate(chance, chance.choice(PATHS), TEXT_TOKENS)
    return b"%b %b HTTP/1.1\r\nHost: x\r\nAccept: %b\r\n\r\n" % (chance.choice(METHODS), path, chance.choice(ACCEPTS))


def _head(chance: random.Random) -> bytes:
    good = _query(chance) if chance.random() < 0.5 else _post(chance, b"/generate", b'{"count":2}')
    return mutate(chance, good, HEAD_TOKENS)


def _chunks(chance: random.Random) -> bytes:
    body = mutate(chance, b'{"count":2,"seed":1}', JSON_TOKENS)
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in _split(chance, body, 3)) + b"0\r\n\r\n"
    if chance.random() < 0.5:
        framed = mutate(chance, framed, HEAD_TOKENS)
    head = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + framed


def mutate(chance: random.Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """Return `data` with up to four changes: a token inserted or overwritten, bytes deleted, repeated or flipped."""
    made = bytearray(data)
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(made) + 1)
        kind, token = chance.randrange(6), chance.choice(tokens)
        if kind < 2:
            made[at:at] = token
        elif kind == 2:
            made[at : at + len(token)] = token
        elif kind == 3:
            del made[at : at + chance.randrange(1, 9)]
        elif kind == 4:
            made[at:at] = made[at : at + chance.randrange(1, 40)]
        elif at < len(made):
            made[at] ^= 1 << chance.randrange(8)
    return bytes(made)


def _split(chance: random.Random, data: bytes, cuts: int) -> list[bytes]:
    places = sorted(chance.randrange(len(data) + 1) for _ in range(cuts))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]
