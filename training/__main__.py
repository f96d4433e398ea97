"""`python -m training`: looks whether the training set is installed, then hands over to `cli`. Nothing else."""

import importlib
import importlib.util
import sys

NEEDED = ("torch", "matplotlib", "optuna", "rich")


def missing_packages() -> list[str]:
    """Return which packages of the training set are not installed, without importing any."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def main() -> None:
    """Run the command line, or end with one line that says how to install what is missing."""
    if missing := missing_packages():
        sys.exit(f"Not installed here, but needed for training: {', '.join(missing)}. Run: make training")
    # Not an import statement: the line above has to come first.
    importlib.import_module("training.cli").main(prog_name="python -m training")


if __name__ == "__main__":
    main()
