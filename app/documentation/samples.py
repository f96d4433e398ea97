"""An example of each JSON answer, for the OpenAPI document; those of /generate are in `answers`. A test reads each with
the class of its answer.
"""

from typing import Any

VERSION = {
    "model": "human/lstm@4",
    "architecture": "lstm",
    "version": 4,
    "parameters": 484_827,
    "losses": {"train": 1.71, "dev": 1.93, "test": 1.93},
    "created": "2026-11-21T11:48:43+00:00",
}
OK = {"status": "ok", "problems": [], "refused": {}, "stand_ins": []}

# By path.
SAMPLES: dict[str, Any] = {
    "/score": {
        "dataset": "human",
        "model": "human/lstm@4",
        "scores": [
            {
                "name": "jo",
                "log_prob": -8.53,
                "perplexity": 17.173,
                "in_training": True,
                "nearest": {"name": "jo", "distance": 0},
                "characters": [
                    {"character": "j", "log_prob": -2.4},
                    {"character": "o", "log_prob": -1.63},
                    {"character": ".", "log_prob": -4.5},
                ],
                "reason": None,
            }
        ],
    },
    "/next": {
        "dataset": "human",
        "model": "human/lstm@4",
        "prefix": "mar",
        "temperature": 1.0,
        "characters": [{"character": "i", "probability": 0.294547}, {"character": ".", "probability": 0.0021}],
    },
    "/datasets": [
        {
            "dataset": "human",
            "title": "US baby names born 2018",
            "names": 29_611,
            "longest": 15,
            "licence": "US government work (public domain); package MIT",
            "default": "human/lstm@4",
            "models": ["human/lstm@4"],
        }
    ],
    "/models": {
        "models": [VERSION],
        "aliases": {"human": {"default": "lstm@4", "lstm": {"latest": 4, "stable": 4}}},
        "reasons": [
            {
                "alias": "human default",
                "target": "lstm@4",
                "reason": "Lowest loss on dev.",
                "at": "2026-11-21T11:50:00+00:00",
            }
        ],
        "refused": {},
        "stand_ins": [],
    },
    "/models/{dataset}/{architecture}/{version}": {
        **VERSION,
        "config": {"architecture": "lstm", "block_size": 64, "n_embd": 24, "n_hidden": 128, "n_layers": 2},
        "training": {"preset": "lstm", "best_step": 10_000},
        "data": {"title": "US baby names born 2018", "names": 29_611, "longest": 15},
        "vocabulary": ["a", "b", "c"],
        "golden": ["Marnabella", "Marleya"],
        "card": "# human/lstm\n",
        "files": {"card.md": "/models/human/lstm/4/files/card.md"},
    },
    "/lab/wavenet": {
        "dataset": "human",
        "model": "human/wavenet@3",
        "name": "o",
        "unseen": "",
        "activation": "tanh",
        "window": [{"character": ".", "values": [0.31, -1.2]}, {"character": "o", "values": [1.05, 0.44]}],
        "layers": [[{"first": 0, "last": 1, "values": [0.98, -0.2, 0.07]}]],
        "characters": [{"character": "l", "probability": 0.294547}, {"character": ".", "probability": 0.0021}],
        "embedding": {
            "explained": [0.6, 0.4],
            "points": [
                {"character": ".", "x": -0.91, "y": 0.2, "nearest": "o"},
                {"character": "o", "x": 0.91, "y": -0.2, "nearest": "."},
            ],
        },
    },
    "/health/live": OK,
    "/health/ready": OK,
    "/info": {"name": "Namewave", "version": "0.1.0", "limits": {"max_count": 10_000, "max_body_bytes": 16_384}},
    "/lab/graph": {
        "nodes": [
            {"id": 0, "label": "a", "operation": "", "data": 3.0, "grad": 2.0, "operands": [], "x": 70.0, "y": 43.0},
            {
                "id": 1,
                "label": "b",
                "operation": "+",
                "data": 6.0,
                "grad": 1.0,
                "operands": [0, 0],
                "x": 288.0,
                "y": 43.0,
            },
        ],
        "lines": [
            {"start": 0, "end": 1, "points": [[126.0, 43.0], [182.9, 37.0]]},
            {"start": 0, "end": 1, "points": [[126.0, 43.0], [182.9, 49.0]]},
        ],
        "steps": [
            {
                "node": 1,
                "additions": [
                    {"operand": 0, "derivative": 1.0, "gradient": 1.0},
                    {"operand": 0, "derivative": 1.0, "gradient": 1.0},
                ],
            }
        ],
        "sizes": {
            "width": 358.0,
            "height": 86.0,
            "box_width": 112.0,
            "box_height": 58.0,
            "radius": 20.0,
            "reach": 86.0,
        },
    },
}
