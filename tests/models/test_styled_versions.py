"""Generators and versions with styles: choices, the ones kept, threads, manifests, and what is refused."""

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models import CheckpointError, Draft, Kernels, Manifest, ModelConfig, ModelRegistry, NameGenerator, OptionError
from models.blends import Blender
from models.inference import AS_DRAWN
from models.inference.generator import MAX_STYLED
from models.store.checkpoint import load_checkpoint
from models.store.publishing import draft_generator, draft_of
from models.styles import NO_STYLES, Styles
from tests.models.store_edits import reopened
from tests.models.styled import CONFIGS, NAMES, STYLES, draft_with, styled_network
from training.quantization import quantize


@pytest.fixture(scope="module")
def styled_draft() -> Draft:
    """A wavenet with styles."""
    return draft_with(styled_network(CONFIGS["wavenet"]))


@pytest.fixture
def generator(styled_draft: Draft, kernels: Kernels) -> NameGenerator:
    """The generator of the wavenet."""
    return draft_generator(styled_draft, kernels)


SHARES = ((0.5, 0.5), (0.1, 0.9))
FEMININE, MASCULINE = {"gender": "feminine"}, {"gender": "masculine"}


def drawn(generator: NameGenerator, seed: int = 7) -> list[str]:
    """Some names of a generator."""
    return generator.generate(12, seed=seed, constraints=AS_DRAWN).names


def test_blends_of_all_styles_share_the_tables_of_their_lists(registry: ModelRegistry, styled_draft: Draft) -> None:
    versions = [
        registry.resolve(None, registry.publish(replace(styled_draft, dataset=each)).reference)
        for each in ("one", "two")
    ]
    blender = Blender(registry.kernels)
    plain = blender.blend(versions, (0.5, 0.5)).generator
    styled = [versions[0].styled(FEMININE), versions[1].styled(MASCULINE)]
    blends = [blender.blend(styled, shares).generator for shares in SHARES]
    assert all(each.known is plain.known and each.names is plain.names for each in blends)
    assert len({tuple(drawn(each)) for each in (plain, *blends)}) == 3


def test_empty_choice_is_the_generator_itself(generator: NameGenerator) -> None:
    assert generator.styled({}) is generator


def test_same_choice_gives_the_same_generator(generator: NameGenerator) -> None:
    both = {"gender": "feminine", "decade": "1950s"}
    assert generator.styled(FEMININE) is generator.styled(dict(FEMININE))
    assert generator.styled(both) is generator.styled(dict(reversed(both.items())))
    assert generator.styled(both) is not generator.styled(FEMININE)


def test_plan_of_styled_generator_is_its_predictors(generator: NameGenerator) -> None:
    styled = generator.styled(FEMININE)
    assert styled.plan is styled.predictor.plan is not generator.plan


def test_names_depend_on_the_style_and_repeat_by_seed(generator: NameGenerator, styled_draft: Draft) -> None:
    choices: list[Mapping[str, str]] = [{}, FEMININE, MASCULINE, {"decade": "1980s"}, {**FEMININE, "decade": "1980s"}]
    found = [drawn(generator.styled(chosen)) for chosen in choices]
    assert len({tuple(names) for names in found}) == len(choices)
    again = draft_generator(styled_draft, generator.kernels)
    assert [drawn(again.styled(chosen)) for chosen in reversed(choices)] == found[::-1]


def test_scores_of_styled_generator_have_its_style(generator: NameGenerator) -> None:
    feminine, masculine, none = (each.score(NAMES) for each in map(generator.styled, (FEMININE, MASCULINE, {})))
    assert feminine != masculine != none != feminine


def test_unknown_choice_of_a_generator_is_refused(generator: NameGenerator) -> None:
    for chosen in ({"gender": "neuter"}, {**FEMININE, "mood": "sad"}):
        with pytest.raises(OptionError, match="elves/wavenet@1 knows no"):
            generator.styled(chosen, "elves/wavenet@1")


def test_generator_keeps_the_last_styles_asked_for(kernels: Kernels) -> None:
    styles = Styles({"one": tuple(map(str, range(MAX_STYLED + 3)))})
    config = ModelConfig(architecture="mlp", block_size=1, n_embd=2, n_hidden=2)
    generator = draft_generator(draft_with(styled_network(config, len(styles)), styles), kernels)
    first = [generator.styled({"one": str(i)}) for i in range(MAX_STYLED)]
    assert generator.styled({"one": "0"}) is first[0]
    for i in range(3):
        generator.styled({"one": str(MAX_STYLED + i)})
    assert len(generator._styled) == MAX_STYLED
    kept = {id(each) for each in generator._styled.values()}
    assert [i for i, each in enumerate(first) if id(each) not in kept] == [1, 2, 3]
    assert drawn(generator.styled({"one": "2"})) == drawn(first[2])


def test_threads_share_one_generator_of_each_style(generator: NameGenerator) -> None:
    choices = [FEMININE, MASCULINE, {"decade": "1950s"}, {"decade": "2010s", **MASCULINE}] * 6
    barrier = threading.Barrier(len(choices))

    def work(chosen: Mapping[str, str]) -> tuple[NameGenerator, list[str]]:
        barrier.wait()
        styled = generator.styled(chosen)
        return styled, drawn(styled)

    with ThreadPoolExecutor(len(choices)) as pool:
        found = list(pool.map(work, choices))
    assert len({id(styled) for styled, _ in found}) == 4
    assert [names for _, names in found] == [drawn(generator.styled(chosen)) for chosen in choices]


def test_published_styles_round_trip(registry: ModelRegistry, styled_draft: Draft, generator: NameGenerator) -> None:
    manifest = registry.publish(styled_draft)
    assert manifest.schema_number == 2
    assert list((manifest.styles or {}).items()) == list(STYLES.values.items())
    version = reopened(registry).resolve("elves")
    assert version.manifest == manifest == load_checkpoint(version.folder).manifest
    assert list(manifest.golden) == generator.generate(20, seed=0, constraints=AS_DRAWN).names
    for chosen in ({}, FEMININE, {"decade": "1950s", **MASCULINE}):
        assert drawn(version.styled(chosen).generator) == drawn(generator.styled(chosen))
    assert version.styled({}) is version
    with pytest.raises(OptionError, match="elves/wavenet@1 knows no style 'mood'"):
        version.styled({"mood": "sad"})


def test_integer_version_with_styles_round_trips(registry: ModelRegistry, kernels: Kernels) -> None:
    draft = draft_with(styled_network(CONFIGS["lstm"]))
    integers = replace(draft, arrays=quantize(draft.config, draft.arrays))
    registry.publish(integers)
    version, generator = reopened(registry).resolve("elves"), draft_generator(integers, kernels)
    assert (version.manifest.schema_number, version.manifest.styles) == (2, dict(STYLES.values))
    for chosen in ({}, FEMININE):
        assert drawn(version.styled(chosen).generator) == drawn(generator.styled(chosen))


def test_draft_of_a_version_keeps_its_styles(registry: ModelRegistry, styled_draft: Draft) -> None:
    registry.publish(styled_draft)
    found = draft_of(registry.resolve("elves").folder)
    assert found.styles == STYLES
    assert registry.publish(found).styles == dict(STYLES.values)


def test_version_without_styles_has_the_manifest_of_before(registry: ModelRegistry, elf_draft: Draft) -> None:
    registry.publish(elf_draft)
    version = registry.resolve("elves")
    content = (version.folder / "manifest.json").read_bytes()
    document: dict[str, Any] = json.loads(content)
    assert document["schema_number"] == 1
    assert "styles" not in document
    assert Manifest.model_validate_json(content).as_file() == content
    with pytest.raises(OptionError, match="elves/wavenet@1 knows no styles"):
        version.styled(FEMININE)


def changed(**changes: object) -> Callable[[Path], None]:
    """A change of a version's manifest, sealed again."""

    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        manifest = Manifest.model_validate_json(path.read_bytes()).model_copy(update=changes)
        path.write_bytes(manifest.sealed().as_file())

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(styles={"gender": ("feminine", "masculine")}), "The styles do not fit the weights"),
        (changed(styles={**STYLES.values, "mood": ("sad",)}), "The styles do not fit the weights"),
        (changed(styles=None), "The styles do not fit the weights"),
        (changed(styles=None, schema_number=1), "The styles do not fit the weights"),
        (changed(schema_number=1), "format 1 has no styles"),
        (changed(styles={"gender": ("a", "b", "c", "d", "a")}), "must be distinct"),
        (changed(styles={**STYLES.values, "mood": ()}), "there must be one at least"),
    ],
)
def test_version_with_misfitting_styles_is_refused(
    registry: ModelRegistry, styled_draft: Draft, change: Callable[[Path], None], message: str
) -> None:
    registry.publish(styled_draft)
    change(registry.resolve("elves").folder)
    fresh = reopened(registry)
    assert message in fresh.refused["elves/wavenet@1"]
    with pytest.raises(CheckpointError):
        fresh.resolve("elves", "wavenet@1")


@pytest.mark.parametrize("styles", [NO_STYLES, Styles({"gender": ("feminine", "masculine")})])
def test_draft_with_misfitting_styles_is_not_published(
    registry: ModelRegistry, styled_draft: Draft, styles: Styles
) -> None:
    with pytest.raises(CheckpointError, match="The styles do not fit the weights"):
        registry.publish(replace(styled_draft, styles=styles))
    assert registry.datasets() == []


def test_styles_without_rows_in_weights_are_refused(registry: ModelRegistry, elf_draft: Draft) -> None:
    with pytest.raises(CheckpointError, match="The styles do not fit the weights"):
        registry.publish(replace(elf_draft, styles=STYLES))


def test_styles_kept_stay_within_their_bytes(generator: NameGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    first = generator.styled(FEMININE)
    assert first.plan.own_bytes == sum(
        mine.nbytes
        for mine, theirs in zip(first.plan.arrays, generator.plan.arrays, strict=True)
        if mine is not theirs and mine.size
    )
    monkeypatch.setattr("models.inference.generator.MAX_STYLED_BYTES", first.plan.own_bytes)
    second = generator.styled(MASCULINE)
    assert list(generator._styled.values()) == [second]


def test_styles_of_integers_share_the_matrices_of_the_version(kernels: Kernels) -> None:
    network = styled_network(CONFIGS["lstm"])
    draft = replace(draft_with(network), arrays=quantize(network.config, network.to_arrays()))
    whole = draft_generator(draft, kernels)
    styled = whole.styled(FEMININE)
    assert styled.plan.narrow is whole.plan.narrow
    assert styled.plan.own_bytes == styled.plan.gates.nbytes


def test_table_of_known_names_is_one_for_all_styles(generator: NameGenerator) -> None:
    first = generator.styled(FEMININE)
    assert first.known is generator.known is generator.styled(MASCULINE).known
