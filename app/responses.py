"""Answers: what the service returns, and what each field means. Requests are in `schemas`.

The examples of the fields make the examples of the OpenAPI document.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType

# Named in the OpenAPI document, so that generated clients name them.
Dataset = TypeAliasType(
    "Dataset",
    Annotated[
        str | dict[str, float],
        Field(description="The data set, or the shares of a blend.", examples=["human", {"human": 0.6, "animal": 0.4}]),
    ],
)
ModelVersion = TypeAliasType(
    "ModelVersion",
    Annotated[
        str | dict[str, str],
        Field(description="The concrete version, or those of a blend.", examples=["human/lstm@5"]),
    ],
)
Character = Annotated[str, Field(examples=["m"])]
LogProb = Annotated[float, Field(examples=[-2.4])]
Name = Annotated[str, Field(examples=["Marnabella"])]
Temperature = Annotated[float, Field(examples=[1.0])]


class CharacterDetail(BaseModel):
    """One step of a name; "." is the end."""

    character: Character
    log_prob: LogProb


class NameDetail(BaseModel):
    """A name, its log-probability at temperature 1 (end included), and whether the list has it."""

    name: Name
    log_prob: LogProb
    in_training: bool
    characters: list[CharacterDetail]


Names = TypeAliasType(
    "Names",
    Annotated[
        list[str] | list[NameDetail],
        Field(description="The names; objects if `details` is true.", examples=[["Marnabella", "Marleya"]]),
    ],
)


class GenerateAnswer(BaseModel):
    """New names, and what is needed to draw the same ones again or the next page."""

    dataset: Dataset
    model: ModelVersion
    seed: int = Field(examples=[1])
    offset: int
    next_offset: int = Field(description="Where the next page starts: offset + attempts.", examples=[2])
    temperature: Temperature
    complete: bool = Field(description="Whether all names asked for were found within the budget of attempts.")
    attempts: int = Field(description="How many candidates were drawn.", examples=[2])
    acceptance_rate: float = Field(description="The share of them that became names.", examples=[1.0])
    refused: dict[str, int] = Field(
        description="How many candidates each constraint rejected.",
        examples=[{"max_length": 0, "safe": 0, "unique": 0}],
    )
    note: str | None = Field(
        None,
        description="Only where names are missing that `safe` rejected: how many it may be.",
        examples=[None],
        exclude_if=lambda note: note is None,
    )
    names: Names


class Nearest(BaseModel):
    """The name of the list that is nearest, the first in the alphabet where several are."""

    name: str = Field(examples=["maribella"])
    distance: int = Field(
        description="How many characters have to be put in, taken out or replaced (Levenshtein).", examples=[2]
    )


class ScoredName(BaseModel):
    """The score of a name at temperature 1, with the end counted; logarithms are natural."""

    name: str = Field(description="In lower case, as the model sees it.", examples=["marnabella"])
    log_prob: float | None = Field(description="Null where the model does not know a character.", examples=[-17.31])
    perplexity: float | None = Field(
        description="e^(-log_prob / steps): how many characters it wavered between.", examples=[4.82]
    )
    in_training: bool = Field(description="Whether the model's list has the name.", examples=[False])
    nearest: Nearest | None = Field(description="Null unless the request asks for it.")
    characters: list[CharacterDetail]
    reason: str | None = Field(None, description="Why there is no log_prob.", examples=[None])
    by_style: dict[str, dict[str, float]] | None = Field(
        None,
        description="The log-probability under each value of the model's styles, where the request asks for it.",
        examples=[{"gender": {"feminine": -15.2, "masculine": -24.7}}],
    )


class ScoreAnswer(BaseModel):
    """The scores of names, in their order."""

    dataset: Dataset
    model: ModelVersion
    scores: list[ScoredName]


class CharacterChance(BaseModel):
    """A possible next character; "." is the end of the name."""

    character: Character
    probability: float = Field(examples=[0.294547])


class NextAnswer(BaseModel):
    """The possible next characters after a prefix, the most probable first."""

    dataset: Dataset
    model: ModelVersion
    prefix: str = Field(description="In lower case, as the model sees it.", examples=["mar"])
    temperature: Temperature
    characters: list[CharacterChance]


StyleValues = Annotated[
    dict[str, list[str]],
    Field(
        description="The styles that the model, or the data set's default, learned, with the values of each.",
        examples=[{"gender": ["feminine", "masculine"], "decade": ["1920", "1930"]}],
    ),
]


class ModelSummary(BaseModel):
    """One version in a list."""

    model: str = Field(examples=["human/lstm@5"])
    architecture: str = Field(examples=["lstm"])
    version: int = Field(examples=[4])
    parameters: int = Field(examples=[484_827])
    losses: dict[str, float] = Field(
        description="Nats per character on train, dev and test, end token included.",
        examples=[{"train": 1.71, "dev": 1.93, "test": 1.93}],
    )
    created: str = Field(examples=["2026-11-21T11:48:43+00:00"])
    styles: StyleValues


class DatasetSummary(BaseModel):
    """One data set: its list, its default model, its models."""

    dataset: str = Field(examples=["human"])
    title: str = Field(examples=["US baby names born 2018"])
    names: int = Field(examples=[29_611])
    longest: int = Field(examples=[15])
    licence: str = Field(examples=["US government work (public domain)"])
    default: str | None = Field(
        description="The version that serves when no model is named.", examples=["human/lstm@5"]
    )
    models: list[str] = Field(examples=[["human/lstm@4", "human/lstm@5"]])
    styles: StyleValues


class ModelPage(ModelSummary):
    """All information about a version."""

    config: dict[str, Any] = Field(examples=[{"architecture": "lstm", "block_size": 64, "n_embd": 24}])
    training: dict[str, Any] = Field(examples=[{"preset": "lstm", "best_step": 10_000}])
    data: dict[str, Any] = Field(examples=[{"title": "US baby names born 2018", "names": 29_611, "longest": 15}])
    vocabulary: list[str] = Field(examples=[["a", "b", "c"]])
    golden: list[str] = Field(description="The first 20 names of seed 0.", examples=[["marnabella", "marleya"]])
    card: str = Field(description="The model card, in Markdown.", examples=["# human/lstm\n"])
    files: dict[str, str] = Field(
        description="Addresses of the version's files.", examples=[{"card.md": "/models/human/lstm/5/files/card.md"}]
    )


class AliasReason(BaseModel):
    """Why an alias was moved."""

    alias: str = Field(examples=["human default"])
    target: str = Field(examples=["lstm@5"])
    reason: str = Field(examples=["Lowest loss on dev."])
    at: str = Field(description="When, in UTC.", examples=["2026-11-21T11:50:00+00:00"])


Refused = Annotated[dict[str, str], Field(examples=[{}])]
Fallbacks = Annotated[
    list[str],
    Field(
        description="One line for each alias that falls back to another version, because its own is refused or gone, "
        "and for each store that cannot be read.",
        examples=[["human default: human/lstm@4 serves instead of human/lstm@5, which is refused."]],
    ),
]


class Models(BaseModel):
    """All versions, the targets of aliases and reasons of their moves, and refused versions with reasons."""

    models: list[ModelSummary]
    aliases: dict[str, dict[str, Any]] = Field(
        examples=[{"human": {"default": "lstm@5", "lstm": {"latest": 5, "stable": 5}}}]
    )
    reasons: list[AliasReason] = Field(
        description="The last move of each alias that was moved by hand, and the versions that were removed."
    )
    refused: Refused
    fallbacks: Fallbacks = []


class Info(BaseModel):
    """This service's version and limits."""

    name: str = "Namewave"
    version: str = Field(examples=["0.2.0"])
    limits: dict[str, int | float] = Field(examples=[{"max_count": 10_000, "max_body_bytes": 16_384}])


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok", "unavailable"]
    problems: list[str] = []
    refused: Refused = {}
    fallbacks: Fallbacks = []
