"""The writer of lines: against `capitalize`, csv and json of the standard library, and itself run as plain Python."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Kernels, Vocabulary
from models.inference.lines import CSV, NDJSON, TEXT, Form, LineWriter, write_lines
from models.spelling import capitalize

ODD = "ab'’- 7.,\"=\\\u0301\u0308ßıiςλǆ😀田ﬁʼ\t\x01\r\n"
FORMS = {"text": TEXT, "csv": CSV, "ndjson": NDJSON}
names_of_odd = st.lists(st.text(ODD, min_size=1, max_size=9), min_size=1, max_size=6)
names_of_any = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), max_size=4)


def coded(names: list[str | None], longest: int = 9) -> tuple[Vocabulary, np.ndarray, np.ndarray]:
    """The names as the sampler gives them; None is a candidate that grew too long."""
    vocabulary = Vocabulary.of([*(name for name in names if name), "ab"])
    codes, lengths = np.zeros((len(names), longest), np.int32), np.full(len(names), -1, np.int32)
    for row, name in enumerate(names):
        codes[row] = 1
        if name is not None:
            codes[row] = 0
            codes[row, : len(name)] = vocabulary.encode(name)
            lengths[row] = len(name)
    return vocabulary, codes, lengths


def read(form: str, text: str) -> list[str]:
    """What a reader of the form makes of the lines: the oracle."""
    if form == "ndjson":
        return [json.loads(line)["name"] for line in text.split("\n")[:-1]]
    if form == "csv":
        return [row[0] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    return text.split("\n")[:-1]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100, deadline=None)
@given(names=st.one_of(names_of_odd, names_of_any), title=st.booleans())
def test_every_reader_gets_the_names(kernels: Kernels, form: str, names: list[str], title: bool) -> None:
    """Whatever the alphabet, the standard library reads back the names, with capitals where `capitalize` puts them."""
    if form == "text":
        names = [name.replace("\n", "") or "a" for name in names]
    vocabulary, codes, lengths = coded(list(names))
    lines, written, looked = LineWriter(vocabulary, FORMS[form], title, kernels.write_lines)(codes, lengths, 99)
    assert read(form, lines.decode()) == [capitalize(name) if title else name for name in names]
    assert written == looked == len(names)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(ODD, min_size=1, max_size=9)), min_size=1, max_size=6),
    st.sampled_from([TEXT, CSV, NDJSON]),
    st.booleans(),
    st.integers(0, 7),
)
def test_compiled_writer_equals_itself_as_plain_python(
    kernels: Kernels, names: list[str | None], form: Form, title: bool, limit: int
) -> None:
    """Refused candidates, both cases, any limit: the machine code gives what the same lines give in Python, and stops
    after the last name that was wanted.
    """
    vocabulary, codes, lengths = coded(names)
    compiled, plain = (
        LineWriter(vocabulary, form, title, kernel)(codes, lengths, limit)
        for kernel in (kernels.write_lines, write_lines)
    )
    assert compiled == plain
    _, written, looked = compiled
    there = [i for i, name in enumerate(names) if name is not None]
    assert written == min(limit, len(there))
    wanted_last = there[limit - 1] + 1 if 0 < limit <= len(there) else len(names)
    assert looked == (wanted_last if limit else 0)


def test_quotes_stand_only_where_they_must() -> None:
    """CSV quotes a name for a comma, a quote or a line break in it, and no other; a leading = stays."""
    names = ["a b", "=a", "a,b", 'a"b', "a\nb", "-a"]
    vocabulary, codes, lengths = coded(list(names))
    lines, _, _ = LineWriter(vocabulary, CSV, False, write_lines)(codes, lengths, 99)
    assert lines == b'a b\r\n=a\r\n"a,b"\r\n"a""b"\r\n"a\nb"\r\n-a\r\n'


def test_a_small_buffer_is_never_overrun(kernels: Kernels) -> None:
    """Where the next line might not fit, the writer stops before it and tells how far it came."""
    vocabulary, codes, lengths = coded(["ab", "ba", "ab"])
    tables = LineWriter(vocabulary, TEXT, False, write_lines)
    for kernel in (kernels.write_lines, write_lines):
        for room in range(12):
            out = np.full(room + 4, 255, np.uint8)
            told = kernel(
                codes,
                lengths,
                tables._pieces,
                tables._sizes,
                tables._kinds,
                tables._special,
                tables._frames,
                tables._frame_sizes,
                False,
                99,
                out[:room],
            )
            used, written, looked = map(int, told)
            assert bytes(out[:used]) == b"ab\nba\nab\n"[:used]
            assert used == 3 * written == 3 * looked <= room
            assert (out[used:] == 255).all()
            assert written == 3 or room < 12
