"""What a network is made of: the hyperparameters, read from TOML and manifests. How it is trained lives in
`training.config`.

Every architecture here is a stack of hidden layers, each of which joins some neighbouring positions (`fans`); their
product is the block_size, the number of characters a prediction can see.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Architecture = Literal["bigram", "mlp", "wavenet"]
Activation = Literal["tanh", "relu"]
ARCHITECTURES: tuple[str, ...] = get_args(Architecture)

Width = Annotated[int, Field(ge=1, le=2048)]


class ModelConfig(BaseModel):
    """One network's shape.

    `block_size`: characters of context. `n_embd`: width of a character's embedding. `n_hidden`: width of a hidden
    layer. `n_layers`: hidden layers of an `mlp` (a `wavenet` has log2(block_size) of them, whatever is said here; a
    `bigram` none: its embedding is the table of logits, vocab_size wide).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    architecture: Architecture
    block_size: Annotated[int, Field(ge=1, le=64)] = 8
    n_embd: Width = 24
    n_hidden: Width = 128
    n_layers: Annotated[int, Field(ge=1, le=16)] = 1
    activation: Activation = "tanh"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.architecture == "bigram" and self.block_size != 1:
            raise ValueError("block_size of a bigram is 1")
        if self.architecture == "wavenet" and (self.block_size < 2 or self.block_size & (self.block_size - 1)):
            raise ValueError("block_size of a wavenet is a power of two: 2, 4, 8, 16, 32 or 64")
        return self

    @property
    def fans(self) -> tuple[int, ...]:
        """How many neighbouring positions each hidden layer joins, first layer first."""
        if self.architecture == "bigram":
            return ()
        if self.architecture == "mlp":
            return (self.block_size, *[1] * (self.n_layers - 1))
        return (2,) * (self.block_size.bit_length() - 1)
