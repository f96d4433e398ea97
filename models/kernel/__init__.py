"""From frozen weights to candidates, without torch, in compiled code. To read in this order:

arithmetic    exp, tanh and random words, the same bits on every processor
freeze        a checkpoint as plain arrays: a table of characters and stages
reference     what each number of a position is, in the plainest form; the oracle of the rest
plan          the same as sums of terms: rows of tables and products; `compile_plan` makes it from a frozen model
matmul        products in tiles
mixture       several models' distributions as one
int8          models of format 2, in integers
evaluate      logits after many prefixes at once
distribution  from logits to boundaries that random words are compared with
sample        candidates that go down the tree of prefixes side by side; `prefix_cache` keeps the tree
"""
