"""The manifest: it round-trips, says its own reference, and refuses what a stranger might have written into it."""

import pytest
from pydantic import ValidationError

from models import ConfigError, Manifest, ModelConfig
from models.manifest import DataRecord, FileRecord, sha256

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


def test_a_manifest_round_trips() -> None:
    """JSON gives back an equal manifest, of the same types inside."""
    one = manifest()
    other = Manifest.model_validate_json(one.model_dump_json())
    assert other == one
    assert isinstance(other.data, DataRecord)
    assert isinstance(other.files["model.safetensors"], FileRecord)
    assert other.training == {"preset": "wavenet", "steps": 10, "rate": 0.1, "early": False, "patience": None}
    assert other.training["early"] is False


def test_a_manifest_says_its_reference() -> None:
    """Reference, architecture and alphabet come from the fields."""
    one = manifest()
    assert one.reference == "elves/wavenet@3"
    assert one.architecture == "wavenet"
    assert one.alphabet.encode("aé ") == [2, 3, 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_number", 2),
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
def test_unsound_manifests_are_refused(field: str, value: object) -> None:
    """One unsound field is enough, and the error names it; the same manifest without the change is sound."""
    assert manifest()
    with pytest.raises(ValidationError) as caught:
        manifest(**{field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_a_repeated_character_is_no_alphabet() -> None:
    """A vocabulary that lists a character twice is refused where it is read."""
    with pytest.raises(ConfigError, match="each once"):
        _ = manifest(vocabulary=("a", "a")).alphabet


def test_a_manifest_is_fixed() -> None:
    """Nobody changes a manifest once it is parsed."""
    with pytest.raises(ValidationError, match="frozen"):
        manifest().version = 4  # type: ignore[misc]


def test_sha256_is_the_standards() -> None:
    """The digest of "abc" is the one in FIPS 180-4."""
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
