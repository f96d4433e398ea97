"""Names are spelled with the entries of a casing table, by Python and in all forms of an answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Kernels, NameGenerator
from models.casing import Casing, casing_of, merged, small
from models.config import ModelConfig
from models.inference import CSV, JSON_LIST, NDJSON, TEXT, LineWriter, NameStream, SpellingWriter
from models.spelling import title
from tests.models.reference import untrained_generator

# The test vectors of docs/model-format.md.
ENTRIES = {
    "*": "^",
    "van": "van",
    "^van": "Van",
    "upon": "upon",
    "ii": "II",
    "mc*": "Mc^",
    "mach*": "Mach*",
    "mac*": "Mac^",
    "ij*": "IJ*",
    "desh*": "DeSh*",
}
VECTORS = {
    "mcdonald": "McDonald",
    "macduff machin mac": "MacDuff Machin Mac",
    "van der berg": "Van Der Berg",
    "jan van ijsbrand": "Jan van IJsbrand",
    "berwick-upon-tweed": "Berwick-upon-Tweed",
    "aragorn ii": "Aragorn II",
    "deshawn o'brien": "DeShawn O'Brien",
    "ʻolina ʿabd ka'ani a'a": "ʻOlina ʿAbd Ka'ani A'a",
}
WORDS = st.sampled_from([*ENTRIES, "mca", "machu", "ijk", "x", "o'b", "ʿa", "berg"]).filter(str.isalpha)


@pytest.mark.parametrize(("name", "expected"), VECTORS.items())
def test_names_are_spelled_with_the_entries(name: str, expected: str) -> None:
    assert Casing(ENTRIES).spell(name) == expected


def plainly_spelled(word: str, entries: dict[str, str], first: bool) -> str:
    """The definition: try every entry and take the one of the highest rank."""
    ranked = []
    for key, spelling in entries.items():
        only_first, letters = key.startswith("^"), key.strip("^*")
        if (only_first and not first) or not (word == letters or ("*" in key and word.startswith(letters))):
            continue
        is_pattern = "*" in key
        rank = (1, len(letters)) if is_pattern and letters else (0, 0) if is_pattern else (2, 0)
        ranked.append((*rank, only_first, letters, spelling))
    *_, letters, spelling = max(ranked)
    head, rest = spelling.rstrip("^*"), word[len(letters) :]
    if not letters and spelling == "^":
        return title(word)
    end = spelling[len(head) :]
    return head + {"": "", "*": rest, "^": rest[:1].upper() + rest[1:], "^^": rest.upper()}[end]


@given(st.lists(WORDS, min_size=1, max_size=4), st.sampled_from(["^", "*", "^^"]), st.sampled_from(["^", "*", None]))
def test_each_word_has_its_best_entry(words: list[str], default: str, first: str | None) -> None:
    entries = ENTRIES | {"*": default} | ({"^*": first} if first else {})
    expected = " ".join(plainly_spelled(word, entries, i == 0) for i, word in enumerate(words))
    assert Casing(entries).spell(" ".join(words)) == expected


@given(st.text(alphabet="abcimvdz -'ʿ\u0301ςß", max_size=12))
def test_spelling_changes_nothing_but_case(name: str) -> None:
    assert small(Casing(ENTRIES).spell(name)) == small(name)


@pytest.mark.parametrize(
    ("key", "spelling"),
    [("mac", "Mad"), ("mac", "Macs"), ("mc*", "Mc"), ("mc*", "MacX^"), ("^mc*", "Mc^"), ("a b", "A B"), ("*", "x")],
)
def test_entry_with_other_letters_is_refused(key: str, spelling: str) -> None:
    with pytest.raises(ValueError, match="cannot be spelled"):
        Casing({key: spelling})


def test_turkic_entries_have_turkic_letters() -> None:
    assert Casing({"ii": "İİ", "*": "^"}, "tr").spell("ii ılgaz idris") == "İİ Ilgaz İdris"
    with pytest.raises(ValueError, match="cannot be spelled"):
        Casing({"ii": "II"}, "tr")
    assert Casing({"istanbul": "İstanbul"}).spell("istanbul") == "İstanbul"


def test_casing_of_a_blend_has_the_first_entry_of_each_key() -> None:
    one, two = Casing({"*": "*", "de": "de", "mc*": "Mc^"}), Casing({"*": "^^", "de": "De", "von": "von"})
    both = merged([one, None, two], "")
    assert both is not None
    assert both.entries == {"de": "de", "mc*": "Mc^", "von": "von"}
    assert merged([None, None], "") is None


LISTED = ("mc'a ii", "van b", 'a"b', "ij,k")


def spelled_generator(kernels: Kernels, entries: dict[str, str], names: tuple[str, ...] = LISTED) -> NameGenerator:
    """A generator with this casing."""
    plain = untrained_generator(ModelConfig(architecture="bigram", block_size=1), names, kernels)
    return NameGenerator(plain.predictor, names, 9, kernels, casing=casing_of(entries, ""))


def test_every_form_has_names_as_the_list_spells_them(kernels: Kernels) -> None:
    entries = {"*": "*", "^*": "^", "v*": "v^"}
    generator = spelled_generator(kernels, entries)
    names = generator.generate(60, seed=3).names
    expected = [Casing(entries).spell(name) for name in names]
    assert expected != generator.spelled(names, "title") != names

    def written(form: object) -> str:
        sampler = generator.prepare()
        writer, lines = sampler.writer(form, "list"), b""  # type: ignore[arg-type]
        assert isinstance(writer, SpellingWriter)
        stream = NameStream(sampler, 60, seed=3)
        while not stream.finished:
            lines += stream.next_bytes(writer)
        return lines.decode()

    assert written(TEXT).splitlines() == expected == generator.spelled(names)
    assert [json.loads(line)["name"] for line in written(NDJSON).splitlines()] == expected
    assert json.loads(f"[{written(JSON_LIST)[:-1]}]") == expected
    quoted = [f'"{name}"'.replace('"', '""')[1:-1] if {",", '"'} & set(name) else name for name in expected]
    assert written(CSV).split("\r\n")[:-1] == quoted


def test_title_case_of_a_table_needs_no_python(kernels: Kernels) -> None:
    names = ("anna", "berta")
    plain = spelled_generator(kernels, {"*": "^"}, names).prepare()
    assert all(isinstance(plain.writer(TEXT, case), LineWriter) for case in ("list", "title", "lower"))  # type: ignore[arg-type]
    signs = spelled_generator(kernels, {"*": "^"}, ("ʿanna", "berta")).prepare()
    assert isinstance(signs.writer(TEXT, "title"), SpellingWriter)


def test_version_without_a_table_lists_names_in_title_case(kernels: Kernels) -> None:
    plain = spelled_generator(kernels, {}, ("ʿanna", "o'b"))
    assert plain.spelled(["ʿanna", "o'bo"]) == plain.spelled(["ʿanna", "o'bo"], "title") == ["ʿanna", "O'Bo"]
    assert isinstance(plain.prepare().writer(TEXT, "list"), LineWriter)
