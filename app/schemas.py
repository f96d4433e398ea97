"""Request schemas, strictly validated. Their field descriptions are also the API documentation."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypeAliasType

from models.autograd.expression import MAX_CHARACTERS
from models.blends import MOST_MODELS
from models.casing import Case
from models.inference import MAX_SEED, MAX_TEMPERATURE, MIN_TEMPERATURE
from models.manifest import MAX_NAME_LENGTH

MAX_COUNT = 10_000
MAX_STREAMED = 1_000_000
MAX_TEXT = 100
MAX_SCORED = 1000
MAX_STYLES = 16

# The allowed values of each field: "count must be a whole number ...".
ALLOWED = {
    "dataset": "a name from /datasets, or up to four with weights: human:0.6,animal:0.4 in a link, a map in JSON",
    "model": "architecture, architecture@version, architecture@alias or dataset/architecture@version, from /models; "
    "for a blend one for each data set",
    "style": "a map of values from /datasets in JSON, and gender:feminine,decade:1920 in a link",
    "count": f"a whole number between 1 and {MAX_COUNT} in JSON, and at most {MAX_STREAMED} in a stream",
    "temperature": f"a number between {MIN_TEMPERATURE:g} and {MAX_TEMPERATURE:g}",
    "top_k": "a whole number of at least 1",
    "top_p": "a number above 0 and at most 1",
    "seed": "a whole number between 0 and 2^53-1",
    "offset": "a whole number between 0 and 2^53-1",
    "prefix": f"text of at most {MAX_NAME_LENGTH} characters",
    "ends_with": f"text of at most {MAX_NAME_LENGTH} characters",
    "contains": f"text of at most {MAX_NAME_LENGTH} characters",
    "excludes": f"text of at most {MAX_TEXT} characters",
    "pattern": f"text of at most {MAX_NAME_LENGTH} characters: letters, ? for one character, * for any run",
    "min_length": f"a whole number between 1 and {MAX_NAME_LENGTH}, and at most max_length",
    "max_length": f"a whole number between 1 and {MAX_NAME_LENGTH}",
    "unique": f"true or false, and false if count is above {MAX_COUNT}",
    "novel": "true or false",
    "safe": "true or false",
    "case": "list, title or lower",
    "sort": "drawn or likelihood, and drawn in a stream",
    "details": "true or false, and false in text/plain and text/csv",
    "nearest": "true or false",
    "by_style": "true or false, and false for a blend",
    "name": f"text of at most {MAX_NAME_LENGTH} characters",
    "names": f"a list of 1 to {MAX_SCORED} names, each of at most {MAX_NAME_LENGTH} characters",
    "max_attempts": "a whole number of at least 1, and at most the limit in /info",
    "expression": f"text of at most {MAX_CHARACTERS} characters",
}

# Names of our fields in other services, for hints about unknown fields.
SYNONYMS = {
    **dict.fromkeys(("n", "num", "number", "limit", "size", "amount", "quantity"), "count"),
    **dict.fromkeys(("t", "temp"), "temperature"),
    **dict.fromkeys(("start", "starts_with", "startswith", "begins_with", "beginning"), "prefix"),
    **dict.fromkeys(("suffix", "end", "endswith", "ending"), "ends_with"),
    **dict.fromkeys(("regex", "regexp", "like"), "pattern"),
    **{"k": "top_k", "p": "top_p", "skip": "offset", "min": "min_length", "max": "max_length", "exclude": "excludes"},
    **{
        "random_seed": "seed",
        "type": "dataset",
        "data_set": "dataset",
        "architecture": "model",
        "includes": "contains",
        **dict.fromkeys(("styles", "gender", "sex", "decade", "year", "country", "kind"), "style"),
    },
}

Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Piece = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
Reference = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
# Numbers and booleans in a link: pydantic alone also accepts "1_0", " 5", "5.0" and "yes".
WHOLE = re.compile(r"-?[0-9]{1,16}")
DECIMAL = re.compile(r"-?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?")
WORDS = re.compile(r"true|false")
Weight = Annotated[float, Field(gt=0, le=1000)]
Weights = Annotated[dict[Reference, Weight], Field(min_length=1, max_length=MOST_MODELS)]
References = Annotated[dict[Reference, Reference], Field(min_length=1, max_length=MOST_MODELS)]
# Named in the OpenAPI document, so that generated clients name them.
DatasetSelection = TypeAliasType(
    "DatasetSelection", Annotated[Reference | Weights, Field(examples=["animal", {"human": 0.6, "animal": 0.4}])]
)
ModelSelection = TypeAliasType(
    "ModelSelection", Annotated[Reference | References, Field(examples=["wavenet", "human/lstm@5"])]
)
# A number stands for the value that is written so: 1920.
StyleValue = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)] | Annotated[int, Field(ge=0, le=MAX_SEED)]
StyleSelection = TypeAliasType(
    "StyleSelection",
    Annotated[
        Reference | Annotated[dict[Reference, StyleValue], Field(min_length=1, max_length=MAX_STYLES)],
        Field(examples=["gender:feminine", {"gender": "feminine", "decade": 1920}]),
    ],
)


DATASET = (
    "The data set of the model. Default: `human`. A blend of up to four takes the weighted geometric mean of their "
    "models' probabilities at each character: a map with weights as JSON, `human:0.6,animal:0.4` in a link."
)
MODEL = (
    "`architecture` (its latest), `architecture@version`, `architecture@alias`, or the full form of an answer, "
    "`human/wavenet@1`. Default: the data set's default. For a blend: a map by data set as JSON, "
    "`human/lstm@5,animal/lstm@5` in a link."
)
STYLE = (
    "Values of styles that the model learned, from `/datasets`: a map as JSON, `gender:feminine,decade:1920` in a "
    "link. Styles that are left out are as in the list. In a blend each data set takes those that it knows."
)


class SourceQuery(BaseModel):
    """The data set, the model and the style to sample from. Unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: DatasetSelection | None = Field(None, description=DATASET)
    model: ModelSelection | None = Field(None, description=MODEL)
    style: StyleSelection | None = Field(None, description=STYLE)


class GenerateQuery(SourceQuery):
    """The fields of /generate."""

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
    seed: Seed | None = Field(None, description="The seed of the candidates. Default: random; the answer has it.")
    offset: Seed = Field(
        0,
        description="The first candidate; the `next_offset` of a page continues after it. The last one is 2^53-1.",
    )
    prefix: Piece = Field("", description="The start of each name: the rest is drawn given this prefix.")
    ends_with: Piece = Field("", description="The end of each name: other candidates are rejected.")
    contains: Piece = Field("", description="A part of each name: other candidates are rejected.")
    pattern: Piece = Field(
        "",
        description="The form of each name: letters as they are, ? for one character, * for any run. "
        "Other candidates are rejected.",
        examples=["?a*a"],
    )
    excludes: Annotated[str, Field(max_length=MAX_TEXT)] = Field(
        "",
        description="Characters that no name has: at every step each has probability 0, and the others are divided "
        "by what is left.",
        examples=["qxz"],
    )
    min_length: Annotated[int, Field(ge=1, le=MAX_NAME_LENGTH)] = Field(
        1, description="Shortest name, prefix included: below it the end has probability 0."
    )
    max_length: Annotated[int, Field(ge=1, le=MAX_NAME_LENGTH)] | None = Field(
        None,
        description="Longest name: longer candidates are rejected, not cut. Default: the longest name of the list.",
    )
    unique: bool = Field(
        True,
        description="No repeats within this answer; another page of the same seed may repeat its names. "
        f"Must be false for more than {MAX_COUNT:,} names.",
    )
    novel: bool = Field(False, description="No names that are in the model's list.")
    safe: bool = Field(
        True,
        description="No names that are or contain offensive words; docs/profanity.md says which.",
    )
    case: Case = Field(
        "list",
        description="Spelling: as the list spells names, with capitals at the start of words, or in lower case. "
        "Where a version does not know how its list spells names, `list` is `title`.",
    )
    sort: Literal["drawn", "likelihood"] = Field(
        "drawn",
        description="The order of the names: as drawn, or the likeliest at temperature 1 first.",
    )
    details: bool = Field(False, description="Add how likely each name is, character by character.")
    max_attempts: Annotated[int, Field(ge=1, le=MAX_SEED)] | None = Field(
        None, description="How many candidates may be drawn. Default: 50 x count + 1,000."
    )


def _written(value: object, form: re.Pattern[str]) -> object:
    if isinstance(value, str) and not form.fullmatch(value):
        raise ValueError("not written as allowed")
    return value


class GenerateLink(GenerateQuery):
    """The fields of /generate, from a query string: text is parsed."""

    dataset: Reference | None = Field(None, description=DATASET, examples=["animal", "human:0.6,animal:0.4"])
    model: Reference | None = Field(None, description=MODEL, examples=["wavenet", "human/lstm@5"])
    style: Reference | None = Field(None, description=STYLE)

    @field_validator("count", "top_k", "seed", "offset", "min_length", "max_length", "max_attempts", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        return _written(value, WHOLE)

    @field_validator("temperature", "top_p", mode="before")
    @classmethod
    def _decimal(cls, value: object) -> object:
        return _written(value, DECIMAL)

    @field_validator("unique", "novel", "safe", "details", mode="before")
    @classmethod
    def _true_or_false(cls, value: object) -> object:
        return _written(value, WORDS)


class GenerateRequest(GenerateQuery):
    """The fields of /generate, from a JSON body: types are strict."""

    model_config = ConfigDict(strict=True)


class ScoreRequest(SourceQuery):
    """Names to score, from a JSON body."""

    model_config = ConfigDict(strict=True)

    names: Annotated[list[Piece], Field(min_length=1, max_length=MAX_SCORED)] = Field(
        description=f"At most {MAX_SCORED:,} names, each of at most {MAX_NAME_LENGTH} characters.",
        examples=[["Marnabella", "Anna", "Xqzt"]],
    )
    nearest: bool = Field(
        False, description="Whether to find the nearest name of the list, which takes longer the longer the list is."
    )
    by_style: bool = Field(
        False, description="Whether to add the log-probability of each name under each value of the model's styles."
    )


class NextQuery(SourceQuery):
    """A prefix, from a query string."""

    dataset: Reference | None = Field(None, description=DATASET, examples=["animal", "human:0.6,animal:0.4"])
    model: Reference | None = Field(None, description=MODEL, examples=["wavenet", "human/lstm@5"])
    style: Reference | None = Field(None, description=STYLE)
    prefix: Piece = Field("", description="The characters before.", examples=["mar"])
    temperature: Annotated[float, Field(ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)] = Field(
        1.0, description="Below 1 safer, above 1 wilder."
    )

    @field_validator("temperature", mode="before")
    @classmethod
    def _decimal(cls, value: object) -> object:
        return _written(value, DECIMAL)
