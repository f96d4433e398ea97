"""Tests of `data.building.tries` against files that the marisa-trie library itself wrote (zlib, base64)."""

import base64
import zlib

import pytest

from data.building.tries import Trie, TrieError

KEYS = {"otter", "treefrog", "bullfrog", "treeshrew", "tree", "ot", "catshark", "nurseshark", "0é"}
RECORDS = {b"7\xff\x00\x00longtail", b"12\xff\x01\x00longtail", b"13\xff\x00\x00x\x00yz"}

# KEYS with one trie and a buffer of tails, KEYS with three nested tries, and RECORDS (whose tails hold zero bytes).
TAILED = (
    "eNoLT1XIyS9LVfBNLMosTtRj4GCAgL9iEBpEcQGxBAMCcLGysnKJaIDFYQCmjxGqhwNJDpn/jxlCcwMxJ5q5nS0tLJxCKmBxdIBsPjcW87hINA"
    "/uFxhDj4tBVVBKk4UX1T50ADPLGEobHF7JUJxRlFrOkF/CUJJaxJCcWFKckViUzZBXWlScCmEmlebkpBXlpzOUFKWmMpAGeCDUfyhgYGgYZY+y"
    "SWaDADSrUGQOEzQP8A6DNAkqS9iBWHMA/cIILWtYhmh4MkDdrgpNW6xALDiAfgEBNiCWgrqHCVrGk2MOKG70RsveUfYoe5Q9yh5lDyAbVKcxCj"
    "AxAADfok5t"
)
NESTED = (
    "eNoLT1XIyS9LVfBNLMosTtRj4GCAgL9iEBpEcQGxBAMCcLGysnKJaIDFYQCmjxGqhwNJDpn/jxlCcwMxJ5q5nS0tLJxCKmBxdIBsPjcW87hINA"
    "/uFxiDkYWdg4uTiY0V1T50gM8sfAAerpkQWgLqD2T3dre2snKL6YDFcelnQNNDrL3/2BHhTkx8ogO4mziZWbjZ2DlYuXjwhhMXpeF0G0LLADEv"
    "mnt729rYeKVMwOL4wkmGDHt/iENoXjLTE9xNqSVyEsL8LAzKXPnqRKQnLShtcHglQ3FGUWo5Q15pUTFDSWoRQ1JpTg5QLLEomyGtKD+doaQolS"
    "E5kcRw5UFig/JQ6v///2H+ZhRgwpCHuQuUbJiA8jAF/6GAgaFhlD3KJpkNAszQdEWJOUzQNMo6DNIkIyyfDaBfGKFlAdsQDU8QYEEqZ1mhddBA"
    "uocNqRxlgrqPHHMYoXi0DBllj7JH2aPsUfZAsUF1GjOwPwAAGvlcFQ=="
)
BINARY = (
    "eNoLT1XIyS9LVfBNLMosTtRj4GCAgFwozQPErEAswYAArU1NTKxcImBxGIDpY4Tq4UCSQ+bLQGk2IGZGM7e5sZGRmY0HLI4OYPqZoHrRzWMl0T"
    "wGJH1gYCjCwYDmbmQAM0MBShv/Z2CoYKisMvrPyJCTn5dekpiZYw4Ug7Fh5jQwcDTA9OFzBziQgOA/FIB0Dic2KF2wIKURZmhYD1f/DgY2LKwN"
    "/yMAueaA8p3IaHyNskfZo+xR9ih7lD3KHmVTnQ1qZzEqMDEAAGe3cxU="
)


def written(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


@pytest.mark.parametrize("text", [TAILED, NESTED], ids=["tails", "nested"])
def test_trie_gives_back_the_keys_that_were_written(text: str) -> None:
    """Every key of a file is read once, whichever way its long labels are stored."""
    found = list(Trie.parse(written(text)).starting_with(b""))
    assert sorted(found) == sorted(key.encode() for key in KEYS)


@pytest.mark.parametrize("prefix", ["t", "tree", "trees", "ot", "otters", "z", "0"])
@pytest.mark.parametrize("text", [TAILED, NESTED], ids=["tails", "nested"])
def test_trie_finds_the_keys_with_a_prefix(text: str, prefix: str) -> None:
    """A prefix gives the keys that start with it, also where it ends inside a label."""
    found = Trie.parse(written(text)).starting_with(prefix.encode())
    assert {key.decode() for key in found} == {key for key in KEYS if key.startswith(prefix)}


def test_trie_reads_records_with_zero_bytes() -> None:
    """Binary tails, which mark their ends with bits, come back whole."""
    assert set(Trie.parse(written(BINARY)).starting_with(b"")) == RECORDS


@pytest.mark.parametrize("content", [b"", b"names\n", written(NESTED)[:700]])
def test_trie_refuses_what_is_no_trie(content: bytes) -> None:
    """Bytes that are no trie or break off raise `TrieError` that says what to do."""
    with pytest.raises(TrieError, match="package"):
        Trie.parse(content)
