"""What /generate shows in the documentation: requests to try, and each form of the answer with an example."""

import json
from typing import Any

from app.errors import responses
from app.negotiation import CSV, JSON, NDJSON, TEXT
from models.inference import REASONS

EXAMPLES = {
    "animals": {
        "summary": "Five animals, a little safer",
        "value": {"dataset": "animal", "count": 5, "temperature": 0.8},
    },
    "novel": {
        "summary": "Names that start with Mar and are in no list",
        "value": {"prefix": "Mar", "novel": True, "count": 5, "seed": 1},
    },
    "blend": {
        "summary": "Half-animal heroes, the likeliest first",
        "value": {"dataset": {"human": 0.6, "animal": 0.4}, "count": 5, "sort": "likelihood"},
    },
    "constraints": {
        "summary": "Eight letters or fewer, without z, with ar inside, that end in a",
        "value": {"contains": "ar", "ends_with": "a", "excludes": "z", "max_length": 8, "count": 5},
    },
    "details": {"summary": "How likely each character was", "value": {"count": 2, "details": True}},
}
NONE_REFUSED = dict.fromkeys(REASONS, 0)
UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The answer that If-None-Match names is still the same."}
}
HEADERS = {
    "Namewave-Dataset": {
        "description": "Streams only: the data set, or a blend's shares.",
        "schema": {"type": "string"},
    },
    "Namewave-Model": {"description": "Streams only: the concrete version.", "schema": {"type": "string"}},
    "Namewave-Seed": {"description": "Streams only: the stream of candidates.", "schema": {"type": "integer"}},
    "Namewave-Offset": {"description": "Streams only: the first candidate.", "schema": {"type": "integer"}},
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Names, in the form that Accept asks for: JSON, or a stream.",
        "headers": HEADERS,
        "content": {
            JSON: {
                "example": {
                    "dataset": "human",
                    "model": "human/lstm@4",
                    "seed": 1,
                    "offset": 0,
                    "next_offset": 2,
                    "temperature": 1.0,
                    "complete": True,
                    "attempts": 2,
                    "acceptance_rate": 1.0,
                    "refused": NONE_REFUSED,
                    "names": ["Marnabella", "Marleya"],
                }
            },
            NDJSON: {
                "schema": {"type": "string", "description": "An object a line, the last of which tells the end."},
                "example": '{"name":"Marnabella"}\n{"name":"Marleya"}\n'
                '{"end":{"complete":true,"attempts":2,"next_offset":2,"acceptance_rate":1.0,'
                f'"refused":{json.dumps(NONE_REFUSED, separators=(",", ":"))}}}}}\n',
            },
            TEXT: {
                "schema": {"type": "string", "description": "A name a line."},
                "example": "Marnabella\nMarleya\n",
            },
            CSV: {
                "schema": {
                    "type": "string",
                    "description": "RFC 4180, with a header line. A name is never changed: "
                    "one of your own list's that starts with = is a formula to a spreadsheet.",
                },
                "example": "name\r\nMarnabella\r\nMarleya\r\n",
            },
        },
    },
    **responses(400, 404, 406, 413, 415, 422, 503, 505),
}
