"""The manifest: a version folder's description of itself, parsed strictly.

`checkpoint` reads and writes the folder.
"""

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from models.config import ModelConfig
from models.vocabulary import Vocabulary

# The number of the random stream and arithmetic: it goes up when any candidate of any model changes.
SAMPLING = 2
MAX_NAME_LENGTH = 64
# Format 1 stores 32-bit floats; format 2 (docs/model-format.md) integers or styles, and its symbols may be longer.
FORMAT_1, FORMAT_2 = 1, 2
MAX_SYMBOL_LENGTH = 16
# What stands for the manifest's own digest while that is computed.
BLANK = "0" * 64

DatasetName = Annotated[str, Field(pattern=r"\A[a-z][a-z0-9-]{0,31}\z")]
Digest = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
FileName = Annotated[str, Field(pattern=r"\A[a-z][a-z0-9_-]{0,31}\.[a-z0-9]{1,16}\z")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileRecord(_Strict):
    """One file of the version: its SHA-256 and its size in bytes."""

    sha256: Digest
    size: Annotated[int, Field(ge=0)]


class DataRecord(_Strict):
    """The origin of the names.

    `names`: the number of distinct ones; `longest`: the length of the longest, in code points.
    """

    title: str
    sha256: Digest
    names: Annotated[int, Field(ge=1)]
    longest: Annotated[int, Field(ge=1, le=MAX_NAME_LENGTH)]
    licence: str = ""
    source: str = ""
    split_seed: int


class Manifest(_Strict):
    """Everything needed to use a version without asking anyone.

    `metrics`: losses in nats per character, end token included. `training`: the hyperparameters as they were.
    `golden`: the first 20 names of seed 0 at temperature 1, which a loader draws again before it trusts the version.
    `locale`: in format 2, `tr` or `az` where i and ı have capitals of their own.
    `styles`: in format 2, the values of each style, in the order of their rows of biases; absent where there are none.
    `seal`: the SHA-256 of the manifest file itself with 64 zeros in its place; earlier versions have none.
    """

    schema_number: Literal[1, 2] = 1
    dataset: DatasetName
    version: Annotated[int, Field(ge=1)]
    created: str
    config: ModelConfig
    vocabulary: tuple[Annotated[str, Field(min_length=1, max_length=MAX_SYMBOL_LENGTH)], ...]
    parameters: Annotated[int, Field(ge=1)]
    data: DataRecord
    seed: int
    metrics: dict[str, float]
    training: dict[str, bool | int | float | str | None]
    files: dict[FileName, FileRecord]
    golden: tuple[str, ...]
    sampling: int = SAMPLING
    # Left out where it is None: manifests of format 1 keep their bytes, and so their seals.
    styles: Annotated[dict[str, tuple[str, ...]] | None, Field(exclude_if=lambda styles: styles is None)] = None
    locale: Annotated[Literal["tr", "az"] | None, Field(exclude_if=lambda locale: locale is None)] = None
    seal: Digest | None = None

    @field_validator("vocabulary")
    @classmethod
    def _check_symbols(cls, vocabulary: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("schema_number") == FORMAT_1 and any(len(symbol) != 1 for symbol in vocabulary):
            raise ValueError("symbols of format 1 must be single code points")
        return vocabulary

    @field_validator("locale")
    @classmethod
    def _check_locale(cls, locale: str | None, info: ValidationInfo) -> str | None:
        if locale is not None and info.data.get("schema_number") == FORMAT_1:
            raise ValueError("format 1 has no locale")
        return locale

    @field_validator("styles")
    @classmethod
    def _check_styles(cls, styles: dict[str, tuple[str, ...]] | None, info: ValidationInfo) -> object:
        if styles is not None and info.data.get("schema_number") == FORMAT_1:
            raise ValueError("format 1 has no styles")
        for values in (styles or {}).values():
            if not values or len(set(values)) != len(values):
                raise ValueError("the values of a style must be distinct, and there must be one at least")
        return styles

    @property
    def architecture(self) -> str:
        """The architecture's name, as in the path and in references."""
        return self.config.architecture

    @property
    def reference(self) -> str:
        """The full reference, e.g. "human/wavenet@1"."""
        return f"{self.dataset}/{self.architecture}@{self.version}"

    @property
    def alphabet(self) -> Vocabulary:
        """The model's vocabulary."""
        return Vocabulary(self.vocabulary, self.locale or "")

    def as_file(self) -> bytes:
        """Return the manifest file, as it is written."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    def sealed(self) -> "Manifest":
        """Return the manifest with its seal, which detects accidents.

        An attacker can seal an altered file again.
        """
        blank = self.model_copy(update={"seal": BLANK})
        return blank.model_copy(update={"seal": sha256(blank.as_file())})

    def vouches_for(self, content: bytes) -> bool:
        """Tell whether the file `content`, from which the manifest was parsed, is as it was sealed."""
        return self.seal is None or sha256(content.replace(self.seal.encode(), BLANK.encode())) == self.seal


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
