"""Explanations of each diagnostic plot for learners: its content and its reading."""

EXPLANATIONS = {
    "activations.png": "The outputs of each activation layer for one batch, at both starts before their first step; a "
    'panel labelled "trained" has the learned weights. Outputs near -1 and 1 are saturated: tanh is flat there, and '
    "hardly any gradient passes; the same holds for a sigmoid near 0 and 1. A broad hill in the middle is good. For an "
    "lstm the plot shows the gates, whose saturation matters, and the outputs, whose saturation does not.",
    "gradients.png": "The gradient of the loss at the outputs of each layer. Equal widths in all layers are good; "
    "widths that shrink or grow from layer to layer mean that some layers learn and others do not.",
    "weights.png": "The gradient of each matrix, and its spread divided by that of the weights (grad:data). A matrix "
    "with a ratio far above the others changes too fast at first.",
    "updates.png": "The size of one step relative to each matrix, on a logarithmic scale. The lectures recommend the "
    "dashed line, a thousandth; far below it learning is slow, far above it is unstable.",
    "losses.png": "The loss of both runs, on a scale that fits the good one: the bad one may begin far above it. A "
    "good start begins at the logarithm of the number of characters, the loss of a uniform guess; a bad start is "
    "confidently wrong, and its first steps only correct that.",
    "embedding.png": "The embeddings of the characters, on the two directions of largest variance. Characters with a "
    "similar role in names get close to each other: vowels often form a cluster.",
}
