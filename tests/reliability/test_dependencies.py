"""Row 36: what is installed is what was pinned, by its hash."""

import re
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["serve", "redis", "telemetry"])
def test_row_36_everything_that_serves_is_pinned_by_hash(name: str) -> None:
    """Each requirement of serving, extras too, has one version and at least one hash, and Makefile and image insist on
    them.
    """
    pinned = re.split(r"\n(?=[a-z])", (ROOT / f"requirements/{name}.txt").read_text("utf-8"))
    assert len(pinned) > 20
    for requirement in pinned:
        assert re.match(r"[a-z0-9.-]+==\S+ (; .+ )?\\\n", requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", requirement), requirement
    serves = name == "serve"
    wanted = r"requirements/serve\.txt" if serves else r'"requirements/\$extra\.txt"'
    for file in ("Makefile", "Dockerfile") if serves else ("Dockerfile",):
        text = (ROOT / file).read_text("utf-8")
        assert re.search(rf"--require-hashes[^\n]*-r {wanted}", text.replace("\\\n", " ")), file


@pytest.mark.parametrize("name", ["redis", "telemetry"])
def test_row_36_an_extra_changes_nothing_that_serves(name: str) -> None:
    """An extra has every requirement of serving in the same version, and something more."""
    serve, more = (
        set(re.findall(r"^[a-z0-9.-]+==[^\s;]+", (ROOT / f"requirements/{each}.txt").read_text("utf-8"), re.MULTILINE))
        for each in ("serve", name)
    )
    assert serve < more
    wanted = {"redis": "redis==", "telemetry": "opentelemetry-sdk=="}[name]
    assert any(requirement.startswith(wanted) for requirement in more - serve)


@pytest.mark.parametrize("altered", [False, True])
def test_row_36_an_altered_hash_stops_the_installation(tmp_path: Path, altered: bool) -> None:
    """pip takes a package whose hash is the pinned one, and refuses it where one digit differs."""
    wheel = tmp_path / "trusted-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("trusted.py", "")
        archive.writestr("trusted-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: trusted\nVersion: 1.0\n")
        archive.writestr(
            "trusted-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("trusted-1.0.dist-info/RECORD", "")
    digest = sha256(wheel.read_bytes()).hexdigest()
    if altered:
        digest = ("0" if digest[0] != "0" else "1") + digest[1:]
    pinned = tmp_path / "pinned.txt"
    pinned.write_text(f"trusted==1.0 --hash=sha256:{digest}\n")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--require-hashes", "--find-links", str(tmp_path), "--target", str(tmp_path / "to")]
    done = subprocess.run([*command, "-r", str(pinned)], capture_output=True, text=True, check=False)
    assert (tmp_path / "to/trusted.py").exists() != altered
    assert (done.returncode != 0) == altered
