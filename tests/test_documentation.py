"""README and docs keep up with settings, fields, files and make targets."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.schemas import ALLOWED
from app.settings import configuration_page
from data import CATALOG

ROOT = Path(__file__).parents[1]
README, API, MODELS = ((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/api.md", "docs/models.md"))
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted((ROOT / "docs").glob("*.md"))
RECIPES = re.findall(r"^\| an? [a-z ]+ \| `([a-z_.A-Z]+)` \| (.+) \|$", PAGES[1].read_text("utf-8"), re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def test_readme_is_short() -> None:
    assert 500 <= len(README.split()) <= 900
    assert README.count("```") <= 2 * 6
    assert len(re.findall(r"!\[", README)) == 1


def test_configuration_page_is_that_of_the_settings() -> None:
    """`python -m app settings > docs/configuration.md` writes it."""
    assert (ROOT / "docs/configuration.md").read_text("utf-8") == configuration_page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_project(page: Path) -> None:
    links = LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_architecture_page_names_files_that_exist() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+(?:\.py)?)`", (ROOT / "docs/architecture.md").read_text("utf-8")))
    assert len(named) > 30
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_api_page_lists_every_request_field() -> None:
    table = API.split("| field | meaning | default |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    assert named - {"---"} == set(ALLOWED)


@pytest.mark.parametrize(("word", "row"), RECIPES)
def test_recipe_lists_every_file_that_knows_the_word(word: str, row: str) -> None:
    files = [path for folder in ("app", "models", "training", "data", "clients") for path in (ROOT / folder).rglob("*")]
    sources = [
        path for path in files if path.suffix in (".py", ".toml", ".js", ".html") and "artifacts" not in path.parts
    ]
    found = {str(path.relative_to(ROOT)) for path in sources if re.search(rf"\b{word}\b", path.read_text("utf-8"))}
    listed, _, later = row.partition(";")
    assert set(re.findall(r"`([^`]+)`", listed)) == found
    assert [name for name in re.findall(r"`([^`]+)`", later) if not (ROOT / name).exists()] == []


def test_documented_make_targets_exist() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert {"serve", "test", "training", "release", "system-packages", "audit", "lessons"} <= named
    help_text = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert named <= set(re.findall(r"^  \x1b\[1m([a-z-]+)", help_text, re.MULTILINE))


def manifest_of(dataset: str, architecture: str, version: str) -> dict[str, Any]:
    """The manifest of a shipped version."""
    path = ROOT / "models/artifacts" / dataset / architecture / version / "manifest.json"
    return dict(json.loads(path.read_text()))


NAME, NUMBER, LOSS = r"`(\w+)/(\w+)@(\d+)`", r"([\d,]+)", r"([\d.]+)"
DEFAULT = re.compile(
    rf"^\| {NAME} \| {NUMBER} \| {NUMBER} \| {LOSS} \| {LOSS} \| ([\d.]*) ?\| {LOSS} ± {LOSS} \|$", re.M
)
OTHER = re.compile(rf"^\| {NAME} \| {NUMBER} \| {LOSS} \| {LOSS} \| {LOSS} \|$", re.M)


def test_table_of_defaults_equals_manifests_and_cards() -> None:
    rows = DEFAULT.findall(MODELS)
    assert [row[0] for row in rows] == list(CATALOG)
    for *reference, names, parameters, dev, test, styled, gap, error in rows:
        manifest = manifest_of(*reference)
        metrics = manifest["metrics"]
        assert [names, parameters] == [f"{manifest['data']['names']:,}", f"{manifest['parameters']:,}"]
        assert [dev, test] == [f"{metrics[part]:.3f}" for part in ("dev", "test")]
        assert styled == (f"{metrics['dev with styles']:.3f}" if "dev with styles" in metrics else "")
        card = (ROOT / "models/artifacts" / "/".join(reference) / "card.md").read_text()
        assert f"by {gap} (standard error {error})" in card


def test_table_of_other_versions_equals_the_manifests() -> None:
    rows = OTHER.findall(MODELS)
    assert len(rows) + len(CATALOG) == len(list((ROOT / "models/artifacts").glob("*/*/*/manifest.json")))
    for *reference, parameters, train, dev, test in rows:
        manifest = manifest_of(*reference)
        assert parameters == f"{manifest['parameters']:,}"
        assert [train, dev, test] == [f"{manifest['metrics'][part]:.3f}" for part in ("train", "dev", "test")]
