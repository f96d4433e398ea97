"""Seven calls with a client that openapi-python-client made of the OpenAPI document, and no cast."""
# mypy: ignore-errors

import json
import sys

from made.api.models import model
from made.api.names import generate, generate_by_link, next_characters, score
from made.client import Client
from made.models import GenerateAnswer, GenerateRequest, ModelPage, NextAnswer, Problem, ScoreAnswer, ScoreRequest

client = Client(base_url=sys.argv[1])
generated = generate.sync(client=client, body=GenerateRequest(count=3, seed=1, model="human/lstm@4"))
plain = generate.sync(client=client, body=GenerateRequest(count=3))
linked = generate_by_link.sync(client=client, dataset="animal", seed=7, count=2)
scored = score.sync(client=client, body=ScoreRequest(names=["Anna"]))
following = next_characters.sync(client=client, prefix="mar")
page = model.sync("human", "lstm", "4", client=client)
refused = generate.sync(client=client, body=GenerateRequest(temperature=0.0))
assert isinstance(generated, GenerateAnswer)
assert isinstance(plain, GenerateAnswer)
assert isinstance(linked, GenerateAnswer)
assert isinstance(scored, ScoreAnswer)
assert isinstance(following, NextAnswer)
assert isinstance(page, ModelPage)
assert isinstance(refused, Problem)
sys.stdout.write(
    json.dumps(
        [
            [name if isinstance(name, str) else name.name for name in generated.names],
            len(plain.names),
            linked.seed,
            scored.scores[0].in_training,
            following.prefix,
            page.model,
            refused.code,
        ]
    )
)
