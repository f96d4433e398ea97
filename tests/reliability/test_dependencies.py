"""Row 36: only pinned packages are installed, checked by their hashes."""

import re
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.harness.service import ROOT, run_python

pytestmark = pytest.mark.row(36)
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: trusted\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}


def read_requirements(name: str) -> str:
    return (ROOT / f"requirements/{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("name", ["serve", "redis", "telemetry", "bucket"])
def test_serving_requirements_are_pinned_by_hash(name: str) -> None:
    pinned = re.split(r"\n(?=[a-z])", read_requirements(name))
    assert len(pinned) > 20
    for requirement in pinned:
        assert re.match(r"[a-z0-9.-]+==\S+ (; .+ )?\\\n", requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", requirement), requirement
    file = r"requirements/serve\.txt" if name == "serve" else r'"requirements/\$extra\.txt"'
    for installer in ("Makefile", "Dockerfile") if name == "serve" else ("Dockerfile",):
        text = (ROOT / installer).read_text("utf-8")
        assert re.search(rf"--require-hashes[^\n]*-r {file}", text.replace("\\\n", " ")), installer


@pytest.mark.parametrize(
    ("name", "package"), [("redis", "redis=="), ("telemetry", "opentelemetry-sdk=="), ("bucket", "obstore==")]
)
def test_extra_only_adds_to_the_serving_requirements(name: str, package: str) -> None:
    serve, extra = (
        set(re.findall(r"^[a-z0-9.-]+==[^\s;]+", read_requirements(each), re.MULTILINE)) for each in ("serve", name)
    )
    assert serve < extra
    assert any(requirement.startswith(package) for requirement in extra - serve)


@pytest.mark.parametrize("altered", [False, True])
def test_altered_hash_stops_the_installation(tmp_path: Path, altered: bool) -> None:
    wheel = tmp_path / "trusted-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("trusted.py", "")
        for name, content in METADATA.items():
            archive.writestr(f"trusted-1.0.dist-info/{name}", content)
    digest = sha256(wheel.read_bytes()).hexdigest()
    if altered:
        digest = ("0" if digest[0] != "0" else "1") + digest[1:]
    pinned = tmp_path / "pinned.txt"
    pinned.write_text(f"trusted==1.0 --hash=sha256:{digest}\n")
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--require-hashes"]
    options += ["-r", str(pinned), "--find-links", str(tmp_path), "--target", str(tmp_path / "to")]
    done = run_python("-m", "pip", "install", *options)
    assert (tmp_path / "to/trusted.py").exists() != altered
    assert (done.returncode != 0) == altered
