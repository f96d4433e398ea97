"""The real service over the shipped models, in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.service import served


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a service without limits."""
    store: Path = tmp_path_factory.mktemp("service") / "store"
    with served(NAMEWAVE_STORE=str(store), NAMEWAVE_LIMIT="0") as service:
        yield service.address
