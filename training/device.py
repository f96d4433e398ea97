"""The training device, with deterministic algorithms: same seed and machine, same weights."""

import os

import torch

from training.errors import TrainingError

DEVICES = ("cpu", "cuda")


def choose_device(name: str, threads: int = 1) -> torch.device:
    """Return the device `name`, with deterministic algorithms and `threads` threads on the CPU.

    Raises `TrainingError` if there is no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device is 'cuda', but torch sees no CUDA device here; use --device cpu.")
    # cuBLAS needs this before its first use to sum in a fixed order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True), which also imports torch's compiler: seconds, for something unused here.
    torch.set_deterministic_debug_mode("error")
    # Small networks gain little from a second thread, and waiting for it is slow on a busy machine. With one thread,
    # sums also do not depend on the number of cores.
    torch.set_num_threads(threads)
    return torch.device(name)
