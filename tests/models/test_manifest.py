"""Manifests and model configs round-trip, are immutable, and refuse unsound fields."""

import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

import models
from models import Manifest, ModelConfig
from models.config import ARCHITECTURES
from models.manifest import DataRecord, FileRecord, sha256
from models.networks.architectures import BUILDERS

ARTIFACTS = Path(models.__file__).parent / "artifacts"
DIGEST = "0123456789abcdef" * 4


def manifest(**changes: object) -> Manifest:
    """A sound manifest with `changes`, parsed as a file's content would be."""
    fields: dict[str, object] = {
        "dataset": "elves",
        "version": 3,
        "created": "2026-01-02T03:04:05+00:00",
        "config": ModelConfig(architecture="wavenet"),
        "vocabulary": (" ", "a", "é"),
        "parameters": 12,
        "data": data(),
        "seed": 1,
        "metrics": {"dev": 2.0},
        "training": {"preset": "wavenet", "steps": 10, "rate": 0.1, "early": False, "patience": None},
        "files": {"model.safetensors": {"sha256": DIGEST, "size": 5}},
        "golden": ("aé",),
    }
    return Manifest.model_validate({**fields, **changes})


def data(**changes: object) -> dict[str, object]:
    """A sound data record with `changes`."""
    return {"title": "Elves", "sha256": DIGEST, "names": 4, "longest": 9, "split_seed": 42, **changes}


def test_manifest_round_trips_through_json() -> None:
    one = manifest()
    other = Manifest.model_validate_json(one.model_dump_json())
    assert other == one
    assert other.training == {"preset": "wavenet", "steps": 10, "rate": 0.1, "early": False, "patience": None}
    assert isinstance(other.data, DataRecord)
    assert isinstance(other.files["model.safetensors"], FileRecord)
    assert other.training["early"] is False


def test_manifest_derives_reference_architecture_and_alphabet() -> None:
    one = manifest()
    assert one.reference == "elves/wavenet@3"
    assert one.architecture == "wavenet"
    assert one.alphabet.encode("aé ") == [2, 3, 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_number", 3),
        ("styles", {"gender": ["female"]}),
        ("dataset", "Elves"),
        ("dataset", "../elves"),
        ("dataset", "elves\n"),
        ("dataset", "e" * 33),
        ("dataset", ""),
        ("version", 0),
        ("vocabulary", ("ab",)),
        ("vocabulary", ("",)),
        ("parameters", 0),
        ("metrics", {"dev": float("nan")}),
        ("metrics", {"dev": float("inf")}),
        ("files", {"../model.safetensors": {"sha256": DIGEST, "size": 5}}),
        ("files", {"a/b.txt": {"sha256": DIGEST, "size": 5}}),
        ("files", {"model.safetensors\n": {"sha256": DIGEST, "size": 5}}),
        ("files", {"model.safetensors": {"sha256": DIGEST, "size": -1}}),
        ("files", {"model.safetensors": {"sha256": DIGEST.upper(), "size": 5}}),
        ("files", {"model.safetensors": {"sha256": DIGEST[1:], "size": 5}}),
        ("data", data(names=0)),
        ("data", data(longest=65)),
        ("data", data(sha256="no digest")),
        ("config", {"architecture": "wavenet", "block_size": 6}),
        ("smuggled", 1),
    ],
)
def test_unsound_manifest_field_is_refused_by_name(field: str, value: object) -> None:
    assert manifest()
    with pytest.raises(ValidationError) as caught:
        manifest(**{field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_format_2_has_symbols_of_several_code_points_and_styles() -> None:
    one = manifest(schema_number=2, vocabulary=("a", "ch"), styles={"gender": ["female", "male"]})
    assert one.styles == {"gender": ("female", "male")}
    assert Manifest.model_validate_json(one.as_file()) == one
    assert one.sealed().vouches_for(one.sealed().as_file())


@pytest.mark.parametrize("styles", [{"gender": []}, {"gender": ["male", "male"]}])
def test_style_without_distinct_values_is_refused(styles: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError, match="must be distinct"):
        manifest(schema_number=2, styles=styles)


def test_manifest_without_styles_does_not_name_them() -> None:
    assert b"styles" not in manifest().as_file()


@pytest.mark.parametrize(
    "path", sorted(ARTIFACTS.glob("*/*/*/manifest.json")), ids=lambda path: "-".join(path.parts[-4:-1])
)
def test_shipped_manifest_keeps_its_bytes(path: Path) -> None:
    content = path.read_bytes()
    one = Manifest.model_validate_json(content)
    # Versions without a seal were written before there was one.
    assert one.seal is None or one.as_file() == content
    assert json.loads(one.as_file()) == {"seal": None, **json.loads(content)}


def test_manifest_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest().version = 4  # type: ignore[misc]


def test_sha256_equals_the_fips_180_4_digest_of_abc() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("fields", "culprit"),
    [
        ({"architecture": "transformer"}, "architecture"),
        ({"architecture": "bigram", "block_size": 2}, "block_size of a bigram is 1"),
        ({"architecture": "wavenet", "block_size": 6}, "block_size of a wavenet is a power of two"),
        ({"architecture": "wavenet", "block_size": 1}, "block_size of a wavenet is a power of two"),
        ({"architecture": "mlp", "n_hidden": 0}, "n_hidden"),
        ({"architecture": "mlp", "block_size": 65}, "block_size"),
        ({"architecture": "mlp", "n_layers": "2"}, "n_layers"),
        ({"architecture": "gated_wavenet", "block_size": 6}, "block_size of a gated_wavenet is a power of two"),
        ({"architecture": "lstm", "block_size": 8}, "block_size of an lstm is 64"),
        ({"architecture": "mlp", "dropout": 0.1}, "dropout of a mlp is 0"),
        ({"architecture": "lstm", "block_size": 64, "dropout": 1.0}, "dropout"),
        ({}, "architecture"),
    ],
)
def test_impossible_hyperparameter_is_refused_by_name(fields: dict[str, object], culprit: str) -> None:
    with pytest.raises(ValidationError, match=culprit):
        ModelConfig.model_validate(fields)


@pytest.mark.parametrize(
    ("config", "fans"),
    [
        (ModelConfig(architecture="bigram", block_size=1), ()),
        (ModelConfig(architecture="mlp", block_size=3, n_layers=3), (3, 1, 1)),
        (ModelConfig(architecture="wavenet", block_size=16), (2, 2, 2, 2)),
        (ModelConfig(architecture="gated_wavenet", block_size=8), (2, 2, 2)),
    ],
)
def test_fans_multiply_to_the_block_size(config: ModelConfig, fans: tuple[int, ...]) -> None:
    assert config.fans == fans
    assert math.prod(config.fans) == config.block_size


def test_config_is_immutable_and_round_trips_through_json() -> None:
    config = ModelConfig(architecture="mlp", block_size=3, n_embd=15, n_hidden=200, n_layers=2, activation="relu")
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError, match="frozen"):
        config.block_size = 4  # type: ignore[misc]


def test_configs_allow_exactly_the_architectures_with_builders() -> None:
    assert set(ARCHITECTURES) == set(BUILDERS)
