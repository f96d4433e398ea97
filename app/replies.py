"""Answers: what goes back over the wire, and what each field of it means. Requests are in `schemas`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


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

    dataset: str | dict[str, float] = Field(description="The data set, or the shares of a blend.")
    model: str | dict[str, str] = Field(
        description="The concrete version, or those of a blend.", examples=["human/wavenet@1"]
    )
    seed: int
    offset: int
    next_offset: int = Field(description="Where the next page starts: offset + attempts.")
    temperature: float
    complete: bool = Field(description="Whether all names asked for were found within the budget of attempts.")
    attempts: int = Field(description="How many candidates were drawn.")
    acceptance_rate: float = Field(description="The share of them that became names.")
    refused: dict[str, int] = Field(description="How many candidates each constraint refused.")
    names: list[str] | list[NameDetail]


class Nearest(BaseModel):
    """The name of the list that is nearest, the first in the alphabet where several are."""

    name: str
    distance: int = Field(description="How many characters have to be put in, taken out or replaced (Levenshtein).")


class ScoredName(BaseModel):
    """What a model makes of a name. All numbers are at temperature 1 and count the end; logarithms are natural."""

    name: str = Field(description="In lower case, as the model sees it.")
    log_prob: float | None = Field(description="Null where the model does not know a character.")
    perplexity: float | None = Field(description="e^(-log_prob / steps): how many characters it wavered between.")
    in_training: bool = Field(description="Whether the model's list has the name.")
    nearest: Nearest
    characters: list[CharacterDetail]
    reason: str | None = Field(None, description="Why there is no log_prob.")


class ScoreAnswer(BaseModel):
    """What a model makes of names, in their order."""

    dataset: str | dict[str, float]
    model: str | dict[str, str] = Field(description="The concrete version, or those of a blend.")
    scores: list[ScoredName]


class CharacterChance(BaseModel):
    """A character that may come next; "." is the end of the name."""

    character: str
    probability: float


class NextAnswer(BaseModel):
    """What may follow a prefix, the most probable first."""

    dataset: str | dict[str, float]
    model: str | dict[str, str] = Field(description="The concrete version, or those of a blend.")
    prefix: str = Field(description="In lower case, as the model sees it.")
    temperature: float
    characters: list[CharacterChance]


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
