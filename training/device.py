"""The processor that trains, and the promise that it repeats itself: same seed, same machine, same weights."""

import os

import torch

from training.errors import TrainingError

DEVICES = ("cpu", "cuda")


def choose_device(name: str, threads: int = 1) -> torch.device:
    """Return the device called `name` with deterministic algorithms switched on, and `threads` threads on the CPU.

    Raises `TrainingError` without such a device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device is 'cuda', but torch sees no CUDA device here; use --device cpu.")
    # What cuBLAS wants before its first use in order to add in the same order each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Small networks gain little from a second thread, and wait for it dearly where the processor is shared. With one,
    # sums also come out the same whatever the number of cores.
    torch.set_num_threads(threads)
    return torch.device(name)
