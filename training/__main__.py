"""`python -m training`: check that the training packages are installed, then run `cli`."""

import importlib
import importlib.util
import sys

NEEDED = ("torch", "matplotlib", "optuna", "rich")


def missing_packages() -> list[str]:
    """Return the training packages that are not installed, without importing any."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def main() -> None:
    """Run the command line, or exit with one line that says how to install the missing packages."""
    if missing := missing_packages():
        sys.exit(f"Not installed here, but needed for training: {', '.join(missing)}. Run: make training")
    # A late import, because the check above must come first.
    importlib.import_module("training.cli").main(prog_name="python -m training")


if __name__ == "__main__":
    main()
