"""Lists in every shape and encoding: what they are taken for, the names in them, and what is refused."""

import csv
import io
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import NameListError, ReadOptions, read_names
from data.tables import NAME_HEADERS, OTHER_HEADERS
from tests.data.lists import FOLDED, NAMES, lines, on_lines, read

LETTERS = st.text("abcdefghiklmnoprstuvz", min_size=3, max_size=8).map(str.capitalize)


SHAPES = {
    "plain": (lines("{name}"), "one name on each line"),
    "header": ("Name\n" + lines("{name}"), "one name on each line"),
    "commas": (lines("{name},{g},{i}"), "a table of 3 columns, separated by commas; names from column 1"),
    "commas and header": ("Id,Name,Count\n" + lines("{i},{name},7"), "separated by commas; names from `Name`"),
    "index column": (",Name\n" + lines("{i},{name}"), "a table of 2 columns, separated by commas; names from `Name`"),
    "quoted commas": ('"name","sex"\n' + lines('"{name}","{g}"'), "names from `name`"),
    "semicolons": ("vorname;anzahl\n" + lines("{name};{i}"), "separated by semicolons; names from `vorname`"),
    "tabs": (lines("{i}\t{name}\t{g}"), "separated by tabs; names from column 2"),
    "bars": ("| name | n |\n|---|---|\n" + lines("| {name} | {i} |"), "separated by bars; names from `name`"),
    "fixed width": (lines("{name:<12}{i:>6}   {g}"), "separated by several blanks; names from column 1"),
    "numbers behind": (lines("{name} {i}"), "separated by blanks; names from column 1"),
    "category and number behind": (lines("{name} {g} {i}"), "a table of 3 columns, separated by blanks"),
    "numbered": (lines("{i}. {name}"), "one name on each line, numbered"),
    "numbered in brackets": (lines("({i}) {name}"), "numbered"),
    "bulleted": (lines("- {name}"), "bulleted"),
    "bullets": (lines("• {name}"), "bulleted"),
    "quoted": (lines('"{name}"'), "quoted"),
    "quoted with commas": (lines("    '{name}',"), "quoted"),
    "commas at the end": (lines("{name},"), "with a comma at the end"),
    "numbered and quoted": (lines('{i}) "{name}"'), "numbered and quoted"),
    "marked up": (lines("<li>{name}</li>"), "marked up"),
    "labelled": (lines("Name: {name}"), "labelled"),
    "JSON": (json.dumps(NAMES, indent=1), "a list in brackets"),
    "JSON with nulls": (json.dumps([None, *NAMES, None]), "a list in brackets"),
    "JSON under a key": (json.dumps({"names": NAMES}), "a list in brackets"),
    "JSON objects": (json.dumps([{"id": i, "name": n} for i, n in enumerate(NAMES)]), "objects; names from `name`"),
    "JSON rows": (json.dumps([[i, n] for i, n in enumerate(NAMES)]), "a list of rows; names from column 2"),
    "JSON map": (json.dumps({name: i for i, name in enumerate(NAMES)}), "a map; names from `name`"),
    "Python list": (f"names = {NAMES!r}\n", "a list in brackets"),
    "Python tuple": (repr(tuple(NAMES)), "a list in brackets"),
    "JavaScript list": (f"const names = {NAMES!r};\n", "a list in brackets"),
    "comments": ("# my list\n// licence: CC0\n\n" + lines("{name}"), "one name on each line"),
    "preamble": ("By @somebody\n2020.12.13\n\n" + lines("{name}"), "one name on each line"),
    "one line of commas": (", ".join(NAMES), "names on one line"),
    "one line of quotes": (",".join(f'"{name}"' for name in NAMES), "names on one line"),
    "one line of blanks": (" ".join(NAMES), "names on one line"),
    "Windows line ends": (lines("{name}").replace("\n", "\r\n"), "one name on each line"),
    "old Mac line ends": (lines("{name}").replace("\n", "\r"), "one name on each line"),
    "mixed line ends": (lines("{name}").replace("n\n", "n\r\n"), "one name on each line"),
    "tabs with an index": ("\tname\tsex\n" + lines("{i}\t{name}\t{g}"), "separated by tabs; names from `name`"),
    "tabs with empty cells": (lines("{name}\t\t"), "one name on each line"),
    "years as header": ("Name,2019,2020\n" + lines("{name},{i},{i}"), "names from `Name`"),
    "first row without a count": (f"{NAMES[0]},F,\n" + lines("{name},{g},{i}", NAMES[1:]), "names from column 1"),
    "counts in brackets": (lines("{name} ({i})"), "with a number behind"),
    "counts after a colon": (lines("{name}: {i}"), "separated by blanks"),
    "underscored header": ("child_name\n" + lines("{name}"), "one name on each line"),
    "empty lines between": ("\n\n".join(NAMES), "one name on each line"),
    "invisible marks": (lines("\u200f• {name}"), "bulleted"),
    "upper case": (lines("{name}").upper(), "one name on each line"),
    "line of the separator": ("sep=;\nname;n\n" + lines("{name};{i}"), "separated by semicolons; names from `name`"),
    "page of a list": ("<html>\n<ul>\n" + lines("<li>{name}</li>") + "</ul>\n</html>\n", "marked up"),
    "XML": ("<?xml version='1.0'?>\n<names>\n" + lines("<name>{name}</name>") + "</names>", "marked up"),
    "tags inside tags": ("<p>Names</p>\n" + lines("<li><b>{name}</b></li>"), "marked up"),
    "code around": ("class A {\n  x = new Set([\n" + lines("'{name}',") + "  ]);\n}\n", "quoted"),
    "block of code": ("```\n" + lines("{name}") + "```\n", "one name on each line"),
    "emphasised": (lines("- **{name}**"), "bulleted and emphasised"),
    "label of words": (lines("First name: {name}"), "labelled"),
    "mysql": (
        "+--+--+\n| name | n |\n+--+--+\n" + lines("| {name} | {i} |") + "+--+--+\n30 rows in set (0.01 sec)\n",
        "a table of 2 columns, separated by bars; names from `name`",
    ),
    "psql": (" called | sex\n---+---\n" + lines(" {name} | {g}") + "(30 rows)\n", "bars; names from `called`"),
    "boxes": ("┌──┬─┐\n│ name │ n │\n├──┼─┤\n" + lines("│ {name} │ {i} │") + "└──┴─┘", "bars; names from `name`"),
    "grid": ("+--+\n| x | y |\n+==+\n" + lines("| {name} | {g} |\n+--+"), "bars; names from `x`"),
    "reST": ("====  ==\nx  y\n====  ==\n" + lines("{name}  {g}") + "====  ==", "several blanks; names from `x`"),
    "box of one column": ("+--+\n| x |\n+--+\n" + lines("| {name} |") + "+--+\n", "a table of 1 column, between bars"),
    "underlined header": ("name\n----\n" + lines("{name}"), "a table of 1 column, below a rule; names from `name`"),
    "underlined title": ("Elves\n=====\n" + lines("{name}"), "a table of 1 column, below a rule"),
    "literal with comments": ("// a [\nvar n = [\n" + lines("'{name}', // {i}") + "/* ] */ ];", "a list in brackets"),
    "Python with comments": (
        "import x\n# a\nN: list[str] = [\n" + lines("'{name}',  # '") + "]\n",
        "a list in brackets",
    ),
    "exported": (f"export const names: string[] = {NAMES!r} as const;", "a list in brackets"),
    "Java array": ("final String[] names = {" + ", ".join(map(json.dumps, NAMES)) + "};", "a list in brackets"),
    "list of a function": ("val x = listOf(" + ", ".join(map(json.dumps, NAMES)) + ")", "a list in brackets"),
    "JavaScript objects": ("export default [" + lines("{{name: '{name}', ok: true}},") + "]", "a list of objects"),
    "sign of a comment in JSON": (json.dumps([f"{name}" for name in NAMES] + ["C#"])[:-7] + "]", "a list in brackets"),
    "JSON groups": (json.dumps({"f": NAMES[:9], "m": NAMES[9:]}), "2 columns, a map of lists; names from `name`"),
    "JSON inside maps": (json.dumps({"data": {"names": NAMES}}), "a list in brackets"),
    "JSON lines": (lines('{{"name": "{name}", "n": {i}}}'), "a list of objects; names from `name`"),
    "JSON lines of rows": (lines('["{name}", {i}]'), "a list of rows; names from column 1"),
    "several on each line": (on_lines(", ", 6), "several names on each line, separated by commas"),
    "several, ragged": (on_lines("; ", 7) + "", "several names on each line, separated by semicolons"),
    "several in quotes": (on_lines("',\t'", 6, "'{}',"), "several names on each line, separated by tabs, with a comma"),
    "quotes over lines": ("name,x\n" + lines('{name},"a\n\n""b"", c"'), "separated by commas; names from `name`"),
    "quotes that are inches": (lines('{name},5"'), "separated by commas; names from column 1"),
    "letter behind": (lines("{name} {g}"), "a table of 2 columns, separated by blanks; names from column 1"),
    "letter in brackets behind": (lines("{name} ({g})"), "a table of 2 columns, separated by blanks"),
    "index with dots": (lines("{i}.,{name},{g}"), "separated by commas; names from column 2"),
    "index with a sign": (lines("#{i};{name}"), "separated by semicolons; names from column 2"),
    "index in a bracket": (lines("{i})\t{name}"), "separated by tabs; names from column 2"),
    "dashes": (lines("{name} – kind {g}s"), "a table of 2 columns, separated by dashes; names from column 1"),
    "dashes and commas": (lines("- {name} - kind {g}, or so"), "separated by commas; names from column 1"),
    "colons": ("Names:\n" + lines("{name}: kind {g} - old"), "separated by colons; names from column 1"),
    "equals signs": (lines("{name} = {g}x"), "separated by equals signs; names from column 1"),
    "groups before colons": (lines("{g}en: {name}"), "separated by colons; names from column 2"),
    "numbers and dashes": (lines("{i}. {name} - kind {g}s"), "separated by dashes; names from column 1"),
    "numbers before and behind": (lines("{i}. {name} - {i}"), "names from column 1; they are numbered"),
    "quotes in a table": (lines("'{name}';'{g}'"), "names from column 1; they are quoted"),
}


@pytest.mark.parametrize("content", SHAPES.values(), ids=SHAPES)
def test_shape_is_told_and_no_part_of_the_names(content: tuple[str, str]) -> None:
    names, shape = read(content[0])
    assert names == FOLDED
    assert content[1] in shape


@pytest.mark.parametrize("prefix", ["Mc", "O'", "ʿ", "van ", "St. "])
def test_prefix_that_all_names_share_stays(prefix: str) -> None:
    assert read(lines(prefix + "{name}"))[0] == tuple(prefix.lower() + name for name in FOLDED)


WRITERS: dict[str, Callable[[list[str]], str]] = {
    "csv": lambda names: _csv(names, ","),
    "tsv": lambda names: _csv(names, "\t"),
    "json": json.dumps,
    "repr": repr,
    "numbered": lambda names: lines("{i}: {name}", names),
    "fixed": lambda names: lines("{i:>5}  {name}", names),
}


def _csv(names: list[str], separator: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([["name", "births"], *([name, i] for i, name in enumerate(names))])
    return text.getvalue()


# A first line such as "place" is a header.
NO_HEADERS = LETTERS.filter(lambda name: name.lower() not in {*NAME_HEADERS, *OTHER_HEADERS})


@given(st.sampled_from(sorted(WRITERS)), st.lists(NO_HEADERS, min_size=20, max_size=40, unique_by=str.lower))
@settings(max_examples=60)
def test_names_come_back_from_what_a_writer_made_of_them(writer: str, names: list[str]) -> None:
    assert read(WRITERS[writer](names))[0] == tuple(name.lower() for name in names)


def test_counts_of_a_column_become_weights_summed_over_lines() -> None:
    table = "name,sex,births\n" + lines('{name},F,"1,0{i:02}"') + lines("{name},M,5")
    found = read_names(table.encode(), "x.csv", options=ReadOptions(weights="births"))
    assert found.weights == tuple(1000 + i + 5 for i in range(1, len(NAMES) + 1))
    assert "weights from `births`" in found.shape
    assert found.dropped == {"header": 1, "repeated": len(NAMES)}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0,5", "0,125", "2"], [0.5, 0.125, 2]),
        (["1,234", "12", "1,000,000"], [1234, 12, 1_000_000]),
        (["1.234,5", "7"], [1234.5, 7]),
        (["1\u00a0234", "1’000", "5 %"], [1234, 1000, 5]),
    ],
)
def test_decimal_sign_is_that_of_the_column(cells: list[str], expected: list[float]) -> None:
    rows = [*cells, *["1"] * (len(NAMES) - len(cells))]
    table = "".join(f"{name}\t{cell}\n" for name, cell in zip(NAMES, rows, strict=True))
    found = read_names(table.encode(), "x.tsv", options=ReadOptions(weights="2"))
    assert found.weights is not None
    assert list(found.weights[: len(expected)]) == expected


@given(st.text("ab 10,;\t|\"'[]{}()#-.:\n", max_size=120), st.sampled_from([{}, {"column": "1"}, {"weights": "2"}]))
@settings(max_examples=400)
def test_any_text_is_read_or_refused(text: str, options: dict[str, object]) -> None:
    for content in (text, "\n".join([text] * 25)):
        with suppress(NameListError):
            names, shape = read(content, **options)
            assert (len(names) >= 20, "\n" in shape) == (True, False)


def test_columns_of_styles_are_kept_with_each_distinct_row() -> None:
    table = lines("{name},F,1") + lines("{name},M,2") + lines("{name},M,4")
    found = read_names(table.encode(), "x.csv", options=ReadOptions(weights="3", styles=("2",)))
    assert found.styles is not None
    assert found.styles.rows[:2] == ((FOLDED[0], "F"), (FOLDED[1], "F"))
    assert (len(found.styles.rows), set(found.styles.weights)) == (2 * len(NAMES), {1.0, 6.0})


def test_column_is_found_by_its_header_and_by_its_number() -> None:
    table = "called,other\n" + lines("{name},{name}son")
    assert read(table, column="OTHER")[0] == tuple(f"{name}son" for name in FOLDED)
    assert read(lines("{name},{name}son"), column="1")[0] == FOLDED


def test_lines_without_the_structure_are_shown() -> None:
    names, shape = read(lines("{i}. {name}") + "Total\n")
    assert names == (*FOLDED, "total")
    assert shape == "one name on each line, numbered (but not Total)"


def test_code_at_the_ends_is_dropped_and_counted() -> None:
    found = read_names(("<ul>\n" + lines("<li>{name}</li>") + "</ul>\n<!-- end -->\n").encode(), "list.html")
    assert (found.names, found.shape) == (FOLDED, "one name on each line, marked up")
    assert found.summary() == "30 names; dropped 1 line before the list, 2 lines behind the list"


def test_odd_lines_that_may_be_names_stay() -> None:
    items = lines("<li>{name}</li>")
    for content in (
        f"<ul>\nZoe\n{items}</ul>",
        f"<ul>\n{items}Zoe\n</ul>",
        items.replace("<li>Golin", "Zoe\n<li>Golin"),
    ):
        names, shape = read(content)
        assert set(names) == {*FOLDED, "zoe"}
        assert shape == "one name on each line, marked up (but not Zoe)"
    assert "<hr>" in read(items.replace("<li>Golin", "<hr>\n<li>Golin"))[0]


def test_rule_that_may_be_a_name_stays() -> None:
    assert read(f"{NAMES[0]}\n--\n{lines('{name}', NAMES[1:])}")[0] == (FOLDED[0], "--", *FOLDED[1:])


def test_footer_of_a_table_is_counted_and_rules_are_not() -> None:
    table = "+---+---+\n| name | n |\n+---+---+\n" + lines("| {name} | {i} |") + "+---+---+\n30 rows in set\n"
    assert read_names(table.encode(), "x").dropped == {"behind": 1, "header": 1}


def test_groups_of_json_are_styles() -> None:
    content = json.dumps({"girls": NAMES[:12], "boys": NAMES[12:]}).encode()
    found = read_names(content, "x.json", options=ReadOptions(styles=("group",)))
    assert found.styles is not None
    assert (found.styles.rows[0], found.styles.rows[-1]) == (("baran", "girls"), ("mavik", "boys"))


@pytest.mark.parametrize("sign", ["[", "/*", '"', "{{'", "a = [", "<-", '["\\"', "[1+", "<a"])
def test_long_text_of_signs_is_read_or_refused(sign: str) -> None:
    for text in (sign * (200_000 // len(sign)), "[" + sign * (200_000 // len(sign)) + "]"):
        with suppress(NameListError):
            read(text)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (
            "name,year,birth count\n" + "".join(f"{name},19{i + 10},{i * 7 % 9}\n" for i, name in enumerate(NAMES)),
            "birth count",
        ),
        ("".join(f"{i},{name},{i * 7 % 9}\n" for i, name in enumerate(NAMES)), "3"),
        (json.dumps({name: i * 7 % 9 for i, name in enumerate(NAMES)}), "count"),
        (lines("{name},{i}"), ""),
        (lines("{name},19{i:02}"), ""),
        (lines("{name},5"), ""),
        (lines("{name},-{i}"), ""),
        (lines("{name},{g}"), ""),
    ],
    ids=["header", "no header", "map", "index", "years", "constant", "negative", "category"],
)
def test_column_of_numbers_is_offered_as_weights(table: str, column: str) -> None:
    found = read_names(table.encode(), "x")
    offers = [line for line in found.describe() if "--weights" in line]
    quoted = f"'{column}'" if " " in column else column
    offer = f"column `{column}` has numbers; `--weights {quoted}` draws frequent names more often"
    assert offers == ([offer] if column else [])
    if column:
        weighted = read_names(table.encode(), "x", options=ReadOptions(weights=column))
        assert not any("--weights" in line for line in weighted.describe())


@pytest.mark.parametrize(
    ("row", "columns"),
    [("{name},{g},19{i:02}", ["2"]), ("{name},,{g}", ["2"]), ("{name},{g},{g}", ["2", "3"]), ("{name},{i},x", [])],
    ids=["years", "empty", "two", "constant"],
)
def test_columns_of_few_values_are_offered_as_styles(row: str, columns: list[str]) -> None:
    table = lines(row, [first + second for first in NAMES[:9] for second in NAMES[:6]]).encode()
    offers = [line for line in read_names(table, "x").describe() if "--style" in line]
    assert offers == [
        f"column `{column}` has few values; with `--style {column}` requests can ask for one of them"
        for column in columns
    ]
    asked = read_names(table, "x", options=ReadOptions(styles=("2",))).describe()
    assert not any("--style" in line for line in asked)


def test_as_is_keeps_whole_lines() -> None:
    assert read(lines("{i}. {name}"), as_is=True)[0][0] == "1. baran"


REFUSED = {
    "two columns of names": (lines("{name},{name}son"), {}, "names may be in column 1 or 2; give --column, or --as-is"),
    "no column of names": (lines("{i},{g}"), {}, "No column .* looks like names; give --column: 1 .1., 2 .M."),
    "some lines with commas": (
        lines("{name},x") + lines("{name}"),
        {},
        "different numbers of commas.* --as-is",
    ),
    "some lines numbered": (
        lines("{i}. {name}") + lines("{name}"),
        {},
        "Only some lines .* are numbered; give --as-is",
    ),
    "unknown column": (lines("{name},{i}"), {"column": "9"}, "--column 9 is no column of list.txt; allowed: 1 to 2"),
    "column without a table": (lines("{name}"), {"column": "1"}, "list.txt is no table; --column"),
    "text as a weight": (lines("{name},{g}"), {"weights": "2"}, "Line 1 of list.txt has the weight 'M'"),
    "column as it is": (lines("{name}"), {"column": "1", "as_is": True}, "--as-is takes whole lines"),
    "object": (json.dumps({"a": {"b": 1}}), {}, "is a document in brackets, but no list of names"),
    "only numbers": (lines("{i}0"), {}, "are numbers, not names; give --as-is"),
    "names and meanings": (
        lines("{name}: as {name}"),
        {},
        "by colons, and names may be in column 1 or 2; give --column",
    ),
    "some meanings": (lines("{name} - x") + lines("{name}"), {}, "Only some lines .* have dashes .* give --as-is"),
    "three names on each line": (on_lines(", ", 3), {}, "give --column: 1 .Baran., 2 .Balin., 3 .Bamor."),
    "columns of text": (lines("{name},{name}son,{name}@b,of {name}"), {}, "names may be in column 1 or 2 or 3 or 4"),
    "columns unlike each other": (lines("{name},{name}son,the {name} of the sea,U{name}"), {}, "give --column"),
    "column of several": (on_lines(", ", 6), {"column": "1"}, "has 5 distinct names"),
    "keys or values": (json.dumps({name: [name + "a"] for name in NAMES}), {}, "column value or key; give --column"),
    "sets in brackets": ("{{1}, {2}}", {}, "is a document in brackets"),
    "categories and numbers": (lines("{g} {i}"), {}, "No column of list.txt looks like names"),
    "only rules": ("---|---\n" * 30, {}, "has 1 distinct names|looks like names|different numbers"),
    "empty object": ("{}", {}, "is a document in brackets"),
    "set of several types": ("{'Ana', 1, None}", {}, "is a document in brackets"),
    "weight beyond numbers": (lines("{name},1e999"), {"weights": "2"}, "has the weight '1e999'"),
    "encoding that decodes nothing": (lines("{name}"), {"encoding": "undefined"}, "is not an encoding"),
    "unknown encoding": (lines("{name}"), {"encoding": "klingon"}, "--encoding klingon is not an encoding"),
    "wrong encoding": (lines("{name}é"), {"encoding": "ascii"}, "is not ascii .first on line 1.; give its --encoding"),
}


@pytest.mark.parametrize(("content", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_unsure_reader_names_the_option_that_decides(content: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(NameListError, match=message) as caught:
        read(content, **options)
    assert "\n" not in str(caught.value)


def test_names_that_look_the_same_are_one() -> None:
    invisible = "\u200b\u200e\u00ad\ufeff\u2060\ufe0f"
    alike = [
        "Ann\u200bA",
        "Anna\u200e",
        "An\u00adna",
        "Mary\u00a0Ann",
        "Mary\u202fAnn",
        "Mary Ann",
        "José",
        "Jose\u0301",
    ]
    names, _ = read("\n".join([*alike, *NAMES]))
    assert names == ("anna", "mary ann", "josé", *FOLDED)
    assert not set("".join(names)) & set(invisible)


def test_alike_apostrophes_become_the_most_frequent_one() -> None:
    assert read(lines("O’{name}") + lines("O'{name}", NAMES[:9]) + lines("Oʼ{name}"))[0] == read(lines("O’{name}"))[0]


def test_joiners_stay_where_the_script_needs_them() -> None:
    persian, latin = "علی\u200cرضا", "An\u200dna"
    names, _ = read("\n".join([persian, latin, *NAMES]))
    assert names[:2] == (persian, "anna")


def test_few_names_are_read_with_a_warning() -> None:
    found = read_names(lines("{name}").encode(), "list.txt")
    assert "Warning: 30 names are few" in found.describe()[-1]
    many = lines("{name}a") + lines("{name}e") + lines("{name}i") + lines("{name}o")
    assert not any("Warning" in line for line in read_names(many.encode(), "list.txt").describe())


def test_description_says_shape_alphabet_count_and_first_names() -> None:
    shape, count, alphabet, first, *_ = read_names(lines("{name},{i}").encode(), "x.csv").describe()
    assert shape == "a table of 2 columns, separated by commas; names from column 1"
    assert count == "30 names"
    letters = "".join(sorted(set("".join(FOLDED))))
    assert alphabet == f"{len(letters)} characters: {letters}"
    assert first == "first names: Baran, Balin, Bamor, Batess, Bavik"


def test_digest_depends_on_the_options_that_choose_names() -> None:
    table = "first,last\n" + lines("{name},{name}son")
    one, other = (read_names(table.encode(), "x", options=ReadOptions(column=column)).sha256 for column in "12")
    assert one != other


TRAINING_PAGE = Path(__file__).parents[2] / "docs" / "training.md"
DOCUMENTED = re.findall(r"^\| `(.+?)`.* \| (.+?) \|$", TRAINING_PAGE.read_text("utf-8"), re.MULTILINE)


def documented_file(example: str) -> str:
    """A file like the example, with more names: one on each line, or as many as the example has on one line."""
    example = example.replace("⇥", "\t")
    example = example.replace("\\|", "|")
    if example.startswith('{"girls"'):
        return json.dumps({"girls": NAMES[:9], "boys": NAMES[9:]})
    if "Mia" in example:
        return on_lines(", ", 6)
    if example.startswith('{"name"'):
        return "\n".join(example.replace("Emma", name) for name in NAMES)
    if example.startswith("[{"):
        return "[" + ",".join(example[1:-1].replace("Emma", name) for name in NAMES) + "]"
    if "Olivia" not in example:
        form = example.replace("Emma", "{name}").replace("500", "{i}")
        return lines(re.sub(r"^\d", "{i}", form))
    head, between = re.split("Emma|Olivia", example)[:2]
    return head + between.join(NAMES) + re.split("Olivia|Ava", example)[-1]


@pytest.mark.parametrize(("example", "taken_for"), DOCUMENTED, ids=[example for example, _ in DOCUMENTED])
def test_documented_shapes_are_read_as_the_page_says(example: str, taken_for: str) -> None:
    names, shape = read(documented_file(example))
    assert (names, shape) == (FOLDED, taken_for)


def test_page_documents_every_shape() -> None:
    assert len(DOCUMENTED) >= 29
