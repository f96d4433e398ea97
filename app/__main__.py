"""`python -m app`."""

import os

# Before numpy is read: its products here are small, and each of its threads would keep memory that nobody uses.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from app.cli.main import main

if __name__ == "__main__":
    main()
