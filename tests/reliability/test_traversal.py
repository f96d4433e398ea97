"""Row 30: names that try to leave a folder."""

import json
import re
import string

import pytest

from tests.harness.service import ROOT, run_python
from tests.reliability.traversing import STRINGS

pytestmark = pytest.mark.row(30)


def test_no_name_opens_a_file_outside_the_stores() -> None:
    """An audit hook in a process of its own sees every file that Python opens."""
    done = run_python("-m", "tests.reliability.traversing")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert sum(result["statuses"].values()) == 10 * len(STRINGS)
    assert result["seen"], "the hook saw nothing"
    assert {int(status) for status in result["statuses"]} <= {400, 404, 405, 422}
    # FastAPI reads the source of a route to name its place in a validation error.
    allowed = {str(ROOT / "app" / name) for name in ("routes/pages.py", "routes/models.py", "static/docs")}
    assert set(result["opened"]) <= allowed


def test_over_500_strings_try_to_leave_a_folder() -> None:
    assert len(STRINGS) >= 500
    assert sum(bool(re.search(r"\.\.|%2e|%c0|\\|//|^/|~", text)) for text in STRINGS) > len(STRINGS) / 2
    assert all(set(text) <= set(string.printable) for text in STRINGS)
