"""A tiny sweep, and its command."""

from click.testing import CliRunner, Result

from training.search.sweep import sweep

HEAD = """
batch_size = 32
steps = 6
eval_every = 2
[model]
architecture = "wavenet"
block_size = 4
n_embd = 3
n_hidden = 8
[sweep]
"""
SWEPT = """
learning_rate = { low = 1e-3, high = 1e-1, log = true }
batch_size = { choices = [16, 32] }
n_hidden = { low = 4, high = 12, step = 4 }
"""


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(sweep, arguments)
