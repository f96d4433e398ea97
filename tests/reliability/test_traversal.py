"""Row 30: names that try to leave a folder."""

import json
import re
import string
import subprocess
import sys
from pathlib import Path


def traversals() -> list[str]:
    """More than 500 ways to leave a folder."""
    dots = ("..", ".", "...", "..;", ".%2e", "%2e%2e", "%252e%252e", "%c0%ae%c0%ae", "..%00", "..%0a", "%2e%2e%2f")
    dots = (*dots, "..\\", "..%5c", "%uff0e%uff0e", "/", "//", "~", "", " ", "%20", "file:", "C:", "\\\\x")
    slashes = ("/", "%2f", "%252f", "%5c", "\\", "%c0%af")
    targets = ("etc/passwd", "etc%2fpasswd%00.png", "manifest.json", "human", "aliases.json")
    found = {f"{(d + s) * n}{t}" for d in dots for s in slashes for n in (1, 4) for t in targets}
    return sorted(found)[::2]


def test_row_30_no_name_becomes_a_path() -> None:
    """500 and more traversals as data set, model, version, file and asset, in path, query and body: each 404, 422 or
    another refusal, and no file outside the stores is opened meanwhile. An audit hook in a process of its own sees
    every file that Python opens.
    """
    strings = traversals()
    assert len(strings) >= 500
    program = Path(__file__).with_name("traversing.py")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(program)],
        input=json.dumps(strings),
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["asked"] >= 8 * 500
    assert told["seen"], "the hook saw nothing at all"
    assert {int(status) for status in told["statuses"]} <= {400, 404, 405, 422}
    # FastAPI reads where a route stands in its file, to tell it with an error of validation.
    sources = {str(root / "app/routes" / name) for name in ("docs.py", "models.py")}
    assert set(told["opened"]) <= sources


def test_row_30_the_strings_try_to_leave() -> None:
    """The strings of that test are what they should be: decoded once or twice, most lead out of a folder."""
    strings = traversals()
    assert sum(bool(re.search(r"\.\.|%2e|%c0|\\|//|^/|~", text)) for text in strings) > len(strings) / 2
    assert all(set(text) <= set(string.printable) for text in strings)
