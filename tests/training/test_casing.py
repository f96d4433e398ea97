"""What a list shows of its spelling: words, patterns, defaults and numerals, and the figures of the command."""

from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from data import ReadOptions, read_names
from models import Kernels, ModelRegistry
from models.casing import Casing
from models.store.publishing import draft_of
from training.casing import casing_file, learn_casing, measure_casing
from training.cli import main
from training.corpus import own_corpus

STEMS = (
    *("adair", "bellow", "cray", "dunn", "ellis", "farrow", "gale", "hart", "innis", "jarvis", "keel", "lorne"),
    *("mabel", "norris", "orrin", "pell", "quill", "rusk", "sorrel", "tarn", "ulric", "vane", "wray", "yarrow"),
)
CAPITALISED = [stem.capitalize() for stem in STEMS]


def learn(spelled: list[str], *options: str) -> Casing:
    """The casing that a list of these names shows."""
    found = read_names("\n".join(spelled).encode(), "list", options=ReadOptions(keep_case="as-is" in options))
    return Casing(learn_casing(found.names, found.spelled, found.locale), found.locale)


@pytest.mark.parametrize(
    ("spelled", "invented"),
    [
        ([f"Mc{stem}" for stem in CAPITALISED], {"mczorn": "McZorn"}),
        (
            [*CAPITALISED, "Mack", "Mackin", "Macken", "Mackel", *(f"Mac{s}" for s in CAPITALISED[:9])],
            {"mackow": "Mackow", "maczorn": "MacZorn"},
        ),
        ([f"van der {stem}" for stem in CAPITALISED], {"van der zorn": "van der Zorn"}),
        ([f"{stem}-upon-{stem[:3]}wick" for stem in CAPITALISED], {"zorn-upon-zed": "Zorn-upon-Zed"}),
        ([*CAPITALISED, "IJsbrand", "IJsvogel", "IJzer"], {"ijmond": "IJmond", "ian": "Ian"}),
        ([*CAPITALISED, "Adair II", "Dunn III", "Dunn IV"], {"zorn xii": "Zorn XII", "viola": "Viola"}),
        ([*CAPITALISED, "DeShawn", "DeShaun", "DeShay", "Denise", "Deborah"], {"deshea": "DeShea", "delia": "Delia"}),
        ([f"ʻ{stem}" for stem in CAPITALISED], {"ʻolina": "ʻOlina"}),
        ([f"ʿ{stem}" for stem in CAPITALISED] + ["Ka'ani", "A'a"], {"ʿabd": "ʿAbd", "ka'ani": "Ka'ani", "a'a": "A'a"}),
        (
            [f"{stem} {other.lower()}us" for stem, other in pairwise(CAPITALISED)],
            {"zorna zornus": "Zorna zornus"},
        ),
        ([f"{stem} Van de {stem}" for stem in CAPITALISED], {"zorn van de zorn": "Zorn Van de Zorn"}),
        ([*CAPITALISED, "Işıl", "İdris", "Ilgaz", "Yıldız"], {"ınal": "Inal", "ilker": "İlker"}),
    ],
    ids=[
        "mc",
        "mac",
        "van der",
        "upon",
        "ij",
        "numerals",
        "deshawn",
        "okina",
        "ayn",
        "first word",
        "particle",
        "turkish",
    ],
)
def test_invented_names_follow_the_patterns_of_the_list(spelled: list[str], invented: dict[str, str]) -> None:
    casing = learn(spelled)
    assert {name: casing.spell(name) for name in invented} == invented


def test_every_name_of_a_list_is_spelled_as_in_the_list() -> None:
    spelled = [*CAPITALISED, "van Dale", "Van Eyck", "la Tour", "LaToya", "MBA", "d'Arc", "iMac", "McCray", "Maccabe"]
    found = read_names("\n".join(spelled).encode(), "list")
    casing = Casing(learn_casing(found.names, found.spelled))
    expected = ["Van Dale" if name == "Van Eyck" else name for name in spelled]
    assert [casing.spell(name) for name in found.names][: len(CAPITALISED)] == expected[: len(CAPITALISED)]
    wrong = {text for name, text in zip(found.names, found.spelled, strict=True) if casing.spell(name) != text}
    assert wrong <= {"van Dale", "Van Eyck"}
    assert len(wrong) == 1


def test_small_words_make_no_pattern() -> None:
    particles = ["de", "der", "den", "des"]
    casing = learn([*CAPITALISED, *(f"{particle} Zorn" for particle in particles)])
    assert casing.spell("dennis") == "Dennis"
    assert [casing.spell(particle) for particle in particles] == particles


@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_list_in_one_case_has_titles_unless_it_is_kept(change: object) -> None:
    spelled = [change(stem) for stem in STEMS]  # type: ignore[operator]
    assert learn(spelled).entries == {}
    casing = learn(spelled, "as-is")
    assert len(casing.entries) == 1
    assert casing.spell("zorn dale") == change("zorn dale")  # type: ignore[operator]


def test_list_in_title_case_has_no_table() -> None:
    assert learn([*CAPITALISED, "Mary-Ann O'Brien", "José"]).entries == {}


def test_most_frequent_spelling_of_a_name_counts() -> None:
    found = read_names("\n".join([*CAPITALISED, "DeAnn", "Deann", "deann", "Deann"]).encode(), "list")
    assert found.spelled[found.names.index("deann")] == "Deann"


def test_held_out_figures_are_those_of_a_brute_force() -> None:
    spelled = [*(f"Mc{stem}" for stem in CAPITALISED), *CAPITALISED, "aBc"]
    names = [text.lower() for text in spelled]
    figures = measure_casing(names, spelled, folds=len(names))
    expected = 0
    for i, name in enumerate(names):
        rest = [j for j in range(len(names)) if j != i]
        casing = Casing(learn_casing([names[j] for j in rest], [spelled[j] for j in rest]))
        expected += casing.spell(name) == spelled[i]
    assert figures.listed_names == expected == len(names) - 1
    assert (figures.names, figures.titled_names) == (len(names), len(STEMS))
    assert figures.wrong == [("aBc", "Abc")]


def test_casing_command_prints_shares_of_held_out_names(tmp_path: Path) -> None:
    (tmp_path / "mc.txt").write_text("\n".join(f"Mc{stem}" for stem in CAPITALISED) + "\naBc\n", "utf-8")
    result = CliRunner().invoke(main, ["casing", str(tmp_path / "mc.txt"), "--wrong", "3"])
    assert result.exit_code == 0, result.output
    _, row, wrong = result.output.splitlines()
    assert row.split() == ["mc.txt", "25", "0.0", "%", "96.0", "%", "25", "0.0", "%", "96.0", "%", "3", "1"]
    assert wrong.strip() == "aBc is spelled Abc"


def test_corpus_of_a_turkish_list_has_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join([*CAPITALISED, "Işıl", "İdris", "Ilgaz", "Yıldız", "Şıpşak"]), "utf-8")
    corpus = own_corpus(path, "turks", 42)
    assert corpus.locale == corpus.vocabulary.locale == "tr"
    assert {"ışıl", "idris"} < set(corpus.names)
    assert "\u0307" not in corpus.vocabulary.characters
    assert casing_file(corpus.casing) == b"*\t^\n"
    other = own_corpus(path, "turks", 42, ReadOptions(locale="other"))
    assert (other.locale, other.sha256 == corpus.sha256) == ("", False)
    assert {"işıl", "idris"} < set(other.names)


def test_shared_lists_are_spelled_as_they_are() -> None:
    folder = Path("../shared/cases")
    if not folder.is_dir():
        pytest.skip("../shared/cases is not here")
    for name in ("case.txt", "ayn.txt", "turkish.txt", "greek.txt", "curly.txt"):
        found = read_names((folder / name).read_bytes(), name)
        figures = measure_casing(found.names, found.spelled, found.locale)
        assert figures.listed_names >= 0.97 * figures.names, name


def test_trained_version_spells_its_names_as_the_list(tmp_path: Path, kernels: Kernels) -> None:
    """From the list to the registry: the table is in the version, and a copy of the version keeps it."""
    path, store = tmp_path / "list.txt", tmp_path / "store"
    path.write_text("\n".join([*(f"Mc{stem}" for stem in CAPITALISED), "van Adair", "van Dunn"]), "utf-8")
    options = ["--data", str(path), "--name", "scots", "--preset", "bigram", "--store", str(store)]
    result = CliRunner().invoke(main, ["train", *options])
    assert result.exit_code == 0, result.output
    registry = ModelRegistry.open(kernels, store)
    version = registry.resolve("scots")
    assert version.manifest.schema_number == 2
    assert version.generator.spelled(["mczorn", "van zorn"]) == ["McZorn", "van Zorn"]
    assert version.generator.spelled(["mczorn"], "title") == ["Mczorn"]
    again = registry.publish(draft_of(version.folder))
    assert registry.resolve("scots", f"bigram@{again.version}").generator.casing == version.generator.casing
