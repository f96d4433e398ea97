"""A typed client for Namewave, the REST service that invents names: `Namewave`, and `AsyncNamewave` with the same
methods. This file only names what is public.
"""

from namewave_client.async_client import AsyncNamewave
from namewave_client.async_name_stream import AsyncNameStream
from namewave_client.catalogue import AliasMove, Dataset, Health, Info, Model, ModelPage, Models
from namewave_client.client import Namewave
from namewave_client.errors import (
    Forbidden,
    InvalidRequest,
    NamewaveError,
    NoAnswer,
    NotFound,
    Refused,
    ServerFault,
    StreamBroken,
    StreamNotThere,
    TimedOut,
    TooManyRequests,
    Unavailable,
    UnreadableAnswer,
)
from namewave_client.name_lines import StreamEnd, StreamHead
from namewave_client.name_stream import NameStream
from namewave_client.names import (
    Batch,
    CharacterDetail,
    NameDetail,
    Nearest,
    NextCharacter,
    NextCharacters,
    Score,
    Scores,
)
from namewave_client.options import DrawOptions, GenerateOptions, NextOptions, SourceOptions
from namewave_client.problem import FieldProblem, Problem
from namewave_client.retries import Retries
from namewave_client.version import VERSION as __version__

__all__ = [
    "AliasMove",
    "AsyncNameStream",
    "AsyncNamewave",
    "Batch",
    "CharacterDetail",
    "Dataset",
    "DrawOptions",
    "FieldProblem",
    "Forbidden",
    "GenerateOptions",
    "Health",
    "Info",
    "InvalidRequest",
    "Model",
    "ModelPage",
    "Models",
    "NameDetail",
    "NameStream",
    "Namewave",
    "NamewaveError",
    "Nearest",
    "NextCharacter",
    "NextCharacters",
    "NextOptions",
    "NoAnswer",
    "NotFound",
    "Problem",
    "Refused",
    "Retries",
    "Score",
    "Scores",
    "ServerFault",
    "SourceOptions",
    "StreamBroken",
    "StreamEnd",
    "StreamHead",
    "StreamNotThere",
    "TimedOut",
    "TooManyRequests",
    "Unavailable",
    "UnreadableAnswer",
    "__version__",
]
