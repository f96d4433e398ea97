"""Networks built from tensors: the part of `models` that needs torch. Serving never imports it."""

from models.networks.architectures import Network, build_model, folded
from models.networks.counting import bigram_by_counting, count_bigrams
from models.networks.layers import BatchNorm1d, Embedding, FlattenConsecutive, Linear, ReLU, Sequential, Tanh

__all__ = [
    "BatchNorm1d",
    "Embedding",
    "FlattenConsecutive",
    "Linear",
    "Network",
    "ReLU",
    "Sequential",
    "Tanh",
    "bigram_by_counting",
    "build_model",
    "count_bigrams",
    "folded",
]
