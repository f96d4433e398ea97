"""Explanations of each diagnostic plot for learners: what it shows and what to look for."""

EXPLANATIONS = {
    "activations.png": "What comes out of each bent layer for one batch, at both starts before their first step; a "
    "panel that says trained has the learned weights. Numbers piled up at -1 and 1 are saturated: there a tanh is "
    "flat, and hardly any gradient passes; likewise for a sigmoid at 0 and 1. Good is a broad hill in the middle. An "
    "lstm shows its gates, whose saturation tells, beside its outputs, whose saturation would say nothing.",
    "gradients.png": "How much each output matters to the loss. Good is the same width in all layers; widths that "
    "shrink or grow from layer to layer mean that some layers learn and others do not.",
    "weights.png": "The gradient of each matrix, and its spread over that of the weights (grad:data). A matrix whose "
    "ratio stands far above the others will be moved too fast at first.",
    "updates.png": "How far one step moves each matrix, as a share of the matrix, on a logarithmic scale. The lectures "
    "aim at the dashed line, a thousandth; far below it learning is slow, far above it is shaky.",
    "losses.png": "The loss of both runs, on a scale that fits the good one: the bad one may begin far above it. A "
    "good start begins at the logarithm of the number of characters, a uniform guess; a bad one is first sure of the "
    "wrong things and spends its steps on forgetting them.",
    "embedding.png": "Where the characters lie, in the two directions that hold most of their spread. Characters that "
    "do the same work in names come to lie together: vowels often make a cluster of their own.",
}
