"""The hyperparameters of a network, from TOML and manifests.

`training.config` has those of training.

Every architecture except `lstm` is a stack of hidden layers, each of which joins some neighbouring positions (`fans`).
Their product is block_size, the number of characters that a prediction sees.
"""

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Architecture = Literal["bigram", "mlp", "wavenet", "gated_wavenet", "lstm"]
Activation = Literal["tanh", "relu"]
# An lstm sees a name from its first character on; no name is longer.
WHOLE_NAME = 64
ARCHITECTURES: tuple[str, ...] = get_args(Architecture)
# Those whose networks learn styles.
STYLED: tuple[str, ...] = ("mlp", "wavenet", "lstm")

Dropped = Annotated[float, Field(ge=0, le=0.95)]
Width = Annotated[int, Field(ge=1, le=2048)]


class ModelConfig(BaseModel):
    """The shape of one network.

    `block_size`: characters of context. `n_embd`: width of the embedding (and of a `gated_wavenet`'s residual stream).
    `n_hidden`: width of a hidden layer, or of an `lstm`'s state. `n_layers`: hidden layers of an `mlp` or `lstm`; both
    wavenets always have log2(block_size), and a `bigram` has none: its embedding is the table of logits, vocab_size
    wide. `activation`: of an `mlp` and a `wavenet`; gates are tanh and sigmoid. `dropout` and `input_dropout`: the
    shares of hidden and embedding values that the training of a `gated_wavenet` or `lstm` drops at random.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    architecture: Architecture
    block_size: Annotated[int, Field(ge=1, le=64)] = 8
    n_embd: Width = 24
    n_hidden: Width = 128
    n_layers: Annotated[int, Field(ge=1, le=16)] = 1
    activation: Activation = "tanh"
    dropout: Dropped = 0.0
    input_dropout: Dropped = 0.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.architecture == "bigram" and self.block_size != 1:
            raise ValueError("block_size of a bigram is 1")
        is_tree = self.architecture in ("wavenet", "gated_wavenet")
        if is_tree and (self.block_size < 2 or self.block_size & (self.block_size - 1)):
            raise ValueError(f"block_size of a {self.architecture} is a power of two: 2, 4, 8, 16, 32 or 64")
        if self.architecture == "lstm" and self.block_size != WHOLE_NAME:
            raise ValueError(f"block_size of an lstm is {WHOLE_NAME}: it sees the whole name")
        for field in ("dropout", "input_dropout"):
            if getattr(self, field) and self.architecture not in ("gated_wavenet", "lstm"):
                raise ValueError(f"{field} of a {self.architecture} is 0: its BatchNorm and weight decay do that work")
        return self

    @property
    def fans(self) -> tuple[int, ...]:
        """The number of neighbouring positions that each hidden layer joins, first layer first."""
        if self.architecture in ("bigram", "lstm"):
            return ()
        if self.architecture == "mlp":
            return (self.block_size, *[1] * (self.n_layers - 1))
        return (2,) * (self.block_size.bit_length() - 1)
