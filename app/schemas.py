"""What goes over the wire: requests, strictly parsed, and answers. What a field means is said here once, for the
documentation too.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from models.inference import MAX_SEED, MAX_TEMPERATURE, MIN_TEMPERATURE
from models.manifest import MAX_NAME_LENGTH

MAX_COUNT = 10_000
MAX_STREAMED = 1_000_000
MAX_TEXT = 100

# What an error says of a field.
ALLOWED = {
    "dataset": "a name from /datasets",
    "model": "architecture, architecture@version, architecture@alias or dataset/architecture@version, from /models",
    "count": f"a whole number, 1 to {MAX_COUNT} as JSON, 1 to {MAX_STREAMED} as a stream",
    "temperature": f"a number, {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}",
    "top_k": "a whole number, 1 or more",
    "top_p": "a number above 0, at most 1",
    "seed": "a whole number, 0 to 2^53-1",
    "offset": "a whole number, 0 to 2^53-1",
    "prefix": f"text of at most {MAX_NAME_LENGTH} characters",
    "min_length": f"a whole number, 1 to {MAX_NAME_LENGTH}, at most max_length",
    "max_length": f"a whole number, 1 to {MAX_NAME_LENGTH}",
    "unique": f"true or false; false where count is above {MAX_COUNT}",
    "novel": "true or false",
    "case": "lower or title",
    "details": "true or false; false as text/plain and text/csv",
    "max_attempts": "a whole number, 1 or more, at most the limit in /info",
}

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Reference = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
# How numbers are written in a link. pydantic alone would take "1_0", " 5", "5.0" and "yes", too.
WHOLE = re.compile(r"-?[0-9]{1,16}")
DECIMAL = re.compile(r"-?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?")
WORDS = re.compile(r"true|false")


class GenerateQuery(BaseModel):
    """The fields of /generate, from a query string: text is parsed, unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: Reference | None = Field(
        None, description="Which data set's models. Default: `human`.", examples=["animal"]
    )
    model: Reference | None = Field(
        None,
        description="`architecture` (its latest), `architecture@version`, `architecture@alias`, or the full form "
        "of an answer, `human/wavenet@1`. Default: the data set's default.",
        examples=["wavenet"],
    )
    count: Annotated[int, Field(ge=1, le=MAX_STREAMED)] = Field(
        10, description=f"How many names: at most {MAX_COUNT:,} as JSON, {MAX_STREAMED:,} as a stream (see Accept)."
    )
    temperature: Annotated[float, Field(ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)] = Field(
        1.0, description="Below 1 safer, above 1 wilder."
    )
    top_k: Annotated[int, Field(ge=1, le=MAX_SEED)] | None = Field(
        None, description="Draw each character from the k most probable ones only. Default: off."
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Draw each character from the fewest ones whose share reaches p only. Default: off."
    )
    seed: Seed | None = Field(None, description="The stream of candidates. Default: random, and told in the answer.")
    offset: Seed = Field(
        0,
        description="The first candidate of the stream; `next_offset` of a page goes on after it. "
        "The stream ends with candidate 2^53-1.",
    )
    prefix: Annotated[str, Field(max_length=MAX_NAME_LENGTH)] = Field(
        "", description="What each name starts with, by conditioning: the rest is drawn given the prefix."
    )
    min_length: Annotated[int, Field(ge=1, le=MAX_NAME_LENGTH)] = Field(
        1, description="Shortest name, prefix included: below it the end is masked and the rest renormalised."
    )
    max_length: Annotated[int, Field(ge=1, le=MAX_NAME_LENGTH)] | None = Field(
        None, description="Longest name: longer candidates are refused, not cut. Default: the list's longest name."
    )
    unique: bool = Field(
        True, description=f"No repeats within this answer. Must be given as false for more than {MAX_COUNT:,} names."
    )
    novel: bool = Field(False, description="No names that are in the model's list.")
    case: Literal["lower", "title"] = Field("title", description="Capital letters, put on last.")
    details: bool = Field(False, description="Tell of each name how likely it is, character by character.")
    max_attempts: Annotated[int, Field(ge=1, le=MAX_SEED)] | None = Field(
        None, description="How many candidates may be drawn. Default: 50 x count + 1,000."
    )

    @field_validator("count", "top_k", "seed", "offset", "min_length", "max_length", "max_attempts", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        return _written(value, WHOLE)

    @field_validator("temperature", "top_p", mode="before")
    @classmethod
    def _decimal(cls, value: object) -> object:
        return _written(value, DECIMAL)

    @field_validator("unique", "novel", "details", mode="before")
    @classmethod
    def _true_or_false(cls, value: object) -> object:
        return _written(value, WORDS)


def _written(value: object, form: re.Pattern[str]) -> object:
    if isinstance(value, str) and not form.fullmatch(value):
        raise ValueError("not written as allowed")
    return value


class GenerateRequest(GenerateQuery):
    """The fields of /generate, from a JSON body: types are strict, unknown fields are refused."""

    model_config = ConfigDict(strict=True)


class CharacterDetail(BaseModel):
    """One step of a name; "." is the end."""

    character: str
    log_prob: float


class NameDetail(BaseModel):
    """A name, the natural logarithm of its probability at temperature 1 (end included), and whether the list has it."""

    name: str
    log_prob: float
    in_training: bool
    characters: list[CharacterDetail]


class GenerateAnswer(BaseModel):
    """New names, and all that is needed to draw the same ones again or to go on after them."""

    dataset: str
    model: str = Field(description="The concrete version.", examples=["human/wavenet@1"])
    seed: int
    offset: int
    next_offset: int = Field(description="Where the next page starts: offset + attempts.")
    temperature: float
    complete: bool = Field(description="Whether all names asked for were found within the budget of attempts.")
    attempts: int = Field(description="How many candidates were drawn.")
    refused: dict[str, int] = Field(description="How many candidates each constraint refused.")
    names: list[str] | list[NameDetail]


class ModelSummary(BaseModel):
    """One version in a list."""

    model: str = Field(examples=["human/wavenet@1"])
    architecture: str
    version: int
    parameters: int
    losses: dict[str, float] = Field(description="Nats per character on train, dev and test, end token included.")
    created: str


class DatasetSummary(BaseModel):
    """One data set: its list, its default model, its models."""

    dataset: str
    title: str
    names: int
    longest: int
    licence: str
    default: str | None = Field(description="The version that serves when no model is named.")
    models: list[str]


class ModelPage(ModelSummary):
    """Everything there is to know of a version."""

    config: dict[str, Any]
    training: dict[str, Any]
    data: dict[str, Any]
    vocabulary: list[str]
    golden: list[str] = Field(description="The first 20 names of seed 0.")
    card: str = Field(description="The model card, in Markdown.")
    files: dict[str, str] = Field(description="Addresses of the version's files.")


class AliasReason(BaseModel):
    """Why an alias was moved."""

    alias: str = Field(examples=["human default"])
    target: str = Field(examples=["lstm@2"])
    reason: str
    at: str = Field(description="When, in UTC.")


StandIns = Annotated[
    list[str],
    Field(
        description="One line for each alias that means another version than it was given, because that one is refused "
        "or gone, and for each store that cannot be read.",
        examples=[["human default: human/lstm@3 serves instead of human/lstm@4, which is refused."]],
    ),
]


class Models(BaseModel):
    """All versions, what the movable aliases mean and why they were moved, and what was refused, with the reason."""

    models: list[ModelSummary]
    aliases: dict[str, dict[str, Any]]
    reasons: list[AliasReason] = Field(
        description="The last move of each alias that was moved by hand, and the versions that were removed."
    )
    refused: dict[str, str]
    stand_ins: StandIns = []


class Info(BaseModel):
    """This service's version and limits."""

    name: str = "Namewave"
    version: str
    limits: dict[str, int | float]


class Health(BaseModel):
    """How the service is."""

    status: Literal["ok", "unavailable"]
    problems: list[str] = []
    refused: dict[str, str] = {}
    stand_ins: StandIns = []
