"""From frozen weights to candidates, without torch, in compiled code. To read in this order:

arithmetic    exp, tanh and random words, the same bits on every processor
freeze        a checkpoint as plain arrays: a table of characters and stages
reference     what each number of a position is, in the plainest form; the oracle of the rest
plan          the same as sums of terms: rows of tables and products; `compile_plan` makes it from a frozen model
matmul        products in tiles
mixture       several models' distributions as one
int8_model    models of format 2: integer arrays; `int8_lstm` is their step, on `int8_matmul`, `int8_cell` and
              `int16_vectors`, and `int8_stage` makes it a stage of a plan
evaluate      logits after many prefixes at once
distribution  from logits to boundaries that random words are compared with; `int8_distribution` for format 2
sample        candidates that go down the tree of prefixes side by side; `prefix_cache` keeps the tree
"""
