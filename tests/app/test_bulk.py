"""Bulk draws: parts against /generate, however they are split, and jobs that are interrupted or mixed up."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import obstore
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from app.bulk.job import Drawer, DrawJob, Enumerator
from app.bulk.output import BucketOutput, Folder, Output
from app.cli.main import main
from app.schemas import GenerateQuery
from app.settings import Settings
from models import OptionError, StoreError
from models.bulk import Part, count_names, parquet
from models.store.bucket import Bucket
from tests.harness.clock import until
from tests.harness.stores import store_settings

ROOT = Path(__file__).parents[2]
RAY = ROOT / ".venv-ray/bin/python"
COUNT = 5000
DRAW = ["bulk", "draw", "--dataset", "elves", "--seed", "3"]


@pytest.fixture
def runner(elf_store: Path) -> CliRunner:
    """The command line over the elves' store."""
    return CliRunner(env=store_settings(elf_store))


def draw(runner: CliRunner, output: Path, *options: str) -> Result:
    """Draw `COUNT` candidates in this process's children."""
    size = [] if "--part-size" in options else ["--part-size", "2000"]
    return runner.invoke(main, [*DRAW, "--count", str(COUNT), *size, "--output", str(output), *options])


@pytest.fixture(scope="module")
def drawn(elf_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished job; tests that change it take a `copy`."""
    folder = tmp_path_factory.mktemp("drawn")
    assert draw(CliRunner(env=store_settings(elf_store)), folder, "--processes", "1").exit_code == 0
    return folder


@pytest.fixture
def copy(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the finished job."""
    return Path(shutil.copytree(drawn, tmp_path / "copy"))


def names_in(folder: Path) -> list[str]:
    """All names of a folder, in the order of their parts."""
    return [name for path in sorted(folder.glob("*.parquet")) for name in read(path.read_bytes())]


def read(content: bytes) -> list[str]:
    """The names of a Parquet file."""
    return [str(name) for name in pq.read_table(io.BytesIO(content)).column("name").to_pylist()]


def bytes_in(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1)))
def test_parquet_file_has_the_lines(names: list[str]) -> None:
    content, count = parquet("".join(f"{name}\n" for name in names).encode())
    assert read(content) == names
    assert count == count_names(content) == len(names)


@pytest.mark.parametrize("options", [[], ["--case", "lower", "--temperature", "1.3", "--novel", "--pattern", "*a*"]])
def test_parts_have_the_names_of_generate(runner: CliRunner, tmp_path: Path, options: list[str]) -> None:
    result = draw(runner, tmp_path / "out", "--processes", "1", *options)
    assert result.exit_code == 0, result.output
    command = ["generate", *DRAW[2:], "--repeats", "--count", str(COUNT), "--max-attempts", str(COUNT), *options]
    expected = runner.invoke(main, command).stdout.splitlines()
    assert names_in(tmp_path / "out") == expected
    assert len(expected) > 100


def test_processes_and_sizes_of_parts_change_no_name(runner: CliRunner, drawn: Path, tmp_path: Path) -> None:
    for folder, options in {"two": ["--processes", "2"], "large": ["--part-size", "100000"]}.items():
        assert draw(runner, tmp_path / folder, *options).exit_code == 0
    assert bytes_in(tmp_path / "two") == bytes_in(drawn)
    assert names_in(tmp_path / "large") == names_in(drawn)


def test_manifest_counts_names_and_has_digests(drawn: Path) -> None:
    manifest = json.loads((drawn / "manifest.json").read_bytes())
    assert [part["file"] for part in manifest["parts"]] == [f"part-{first:016d}.parquet" for first in (0, 2000, 4000)]
    for part in manifest["parts"]:
        content = (drawn / part["file"]).read_bytes()
        assert part["sha256"] == sha256(content).hexdigest()
        assert (part["names"], part["size"]) == (len(read(content)), len(content))
    assert manifest["names"] == len(names_in(drawn))
    assert "elves/wavenet@1" in manifest["digest"]


def test_job_draws_only_what_is_missing(runner: CliRunner, drawn: Path, copy: Path) -> None:
    kept = copy / "part-0000000000000000.parquet"
    (copy / "part-0000000000002000.parquet").unlink()
    (copy / "manifest.json").unlink()
    written = kept.stat().st_mtime_ns
    assert draw(runner, copy).exit_code == 0
    assert bytes_in(copy) == bytes_in(drawn)
    assert kept.stat().st_mtime_ns == written


def test_folder_of_another_job_or_of_other_files_is_refused(runner: CliRunner, copy: Path, tmp_path: Path) -> None:
    before = bytes_in(copy)
    result = draw(runner, copy, "--temperature", "0.8")
    assert (result.exit_code, bytes_in(copy)) == (2, before)
    assert "has the parts of another job" in result.output
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("Dear Ann")
    result = draw(runner, tmp_path / "other")
    assert (result.exit_code, list(bytes_in(tmp_path / "other"))) == (2, ["letter.txt"])
    assert "is not empty and has no job.json" in result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_job_keeps_whole_parts_and_goes_on(
    number: signal.Signals, elf_store: Path, settings: Settings, tmp_path: Path
) -> None:
    command = [*DRAW, "--count", "4000000", "--part-size", "20000", "--processes", "1"]
    env = {**os.environ, **store_settings(elf_store)}
    with subprocess.Popen(
        [sys.executable, "-m", "app", *command, "--output", str(tmp_path)], cwd=ROOT, env=env, stderr=subprocess.PIPE
    ) as process:
        until(lambda: len(list(tmp_path.glob("*.parquet"))) >= 2)
        process.send_signal(number)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert b"The same command with --seed 3 goes on" in printed
    parts = sorted(tmp_path.glob("part-*.parquet"))
    assert 2 <= len(parts) < 200
    assert {path.name for path in tmp_path.iterdir()} == {"job.json", *(path.name for path in parts)}
    drawer = Drawer(settings, GenerateQuery(dataset="elves", seed=3, unique=False))
    for i, path in enumerate(parts[:3]):
        assert path.read_bytes() == drawer.part(Part(20_000 * i, 20_000))[0]


def test_another_version_than_the_job_began_with_is_refused(settings: Settings) -> None:
    request = GenerateQuery(dataset="elves", seed=3, unique=False)
    digest = Drawer(settings, request).digest
    assert Drawer(settings, request, digest).part(Part(0, 10))[1] > 0
    with pytest.raises(OptionError, match="all machines need the same version"):
        Drawer(settings, request.model_copy(update={"model": "wavenet@2"}), digest)


def test_damaged_part_is_named(runner: CliRunner, copy: Path) -> None:
    (copy / "part-0000000000002000.parquet").write_bytes(b"PAR1")
    result = draw(runner, copy)
    assert result.exit_code == 2
    assert "part-0000000000002000.parquet is damaged; remove it" in result.output


def test_shards_together_make_the_same_folder(runner: CliRunner, drawn: Path, tmp_path: Path) -> None:
    """Whichever ends last writes the manifest; a share without parts is complete."""
    output = tmp_path / "shards"
    for shard in ("2/4", "0/4", "3/4"):
        result = draw(runner, output, "--processes", "1", "--shard", shard)
        assert (result.exit_code, result.stderr.splitlines()[-1][:9]) == (0, f"shard {shard}")
    parts = {path.name for path in drawn.glob("*.parquet")}
    assert len(parts) == 3
    assert parts - {path.name for path in output.glob("*.parquet")} == {sorted(parts)[1]}
    assert draw(runner, output, "--processes", "1", "--shard", "1/4").exit_code == 0
    assert bytes_in(output) == bytes_in(drawn)


@pytest.mark.parametrize("shard", ["4/4", "1", "0/0", "-1/4", "a/b"])
def test_impossible_shard_is_refused(runner: CliRunner, tmp_path: Path, shard: str) -> None:
    result = draw(runner, tmp_path / "out", "--shard", shard)
    assert result.exit_code == 2
    assert "0/8 is the first of 8" in result.stderr


def test_shard_without_seed_is_refused(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(main, ["bulk", "draw", "--count", "5000", "--shard", "0/2", "--output", str(tmp_path / "o")])
    assert (result.exit_code, "--shard needs --seed" in result.stderr) == (2, True)


JOB = DrawJob(request=GenerateQuery(dataset="elves", seed=3), count=4000, part_size=2000, digest="of a version")
PARTS = [(Part(0, 2000), *parquet(b"mila\nren\n")), (Part(2000, 2000), *parquet(b"tusha\n"))]


def bucket_output(objects: MemoryStore) -> BucketOutput:
    """The output that a machine opens."""
    return BucketOutput(Bucket("s3://names/elves", objects, objects))


def write_all(output: Output) -> None:
    """Do what a draw does, with parts that were made before."""
    output.begin(JOB)
    output.finish(JOB, [output.find(part) or output.put(part, content, names) for part, content, names in PARTS])


def objects_in(objects: MemoryStore) -> dict[str, bytes]:
    """The objects of a bucket."""
    paths = [each["path"] for chunk in obstore.list(objects) for each in chunk]
    return {path: bytes(obstore.get(objects, path).bytes()) for path in paths}


def test_bucket_gets_the_files_of_a_folder(tmp_path: Path) -> None:
    objects = MemoryStore()
    write_all(bucket_output(objects))
    write_all(Folder(tmp_path))
    assert objects_in(objects) == bytes_in(tmp_path)


def test_machines_that_draw_one_job_write_each_part_once() -> None:
    objects = MemoryStore()
    first, second = bucket_output(objects), bucket_output(objects)
    for output in (first, second):
        output.begin(JOB)
    part, content, names = PARTS[0]
    assert first.find(part) is None
    assert first.put(part, content, names) == second.put(part, content, names) == second.find(part)
    with pytest.raises(StoreError, match="is there already, with another content"):
        second.put(part, PARTS[1][1], names)
    assert objects_in(objects)[part.file] == content


def test_bucket_with_something_else_is_no_output() -> None:
    objects = MemoryStore()
    obstore.put(objects, "photo.jpg", b"")
    with pytest.raises(StoreError, match=r"is not empty and has no job\.json; give an empty prefix"):
        bucket_output(objects).begin(JOB)
    others = MemoryStore()
    bucket_output(others).begin(JOB.model_copy(update={"count": 1}))
    with pytest.raises(StoreError, match="has the parts of another job"):
        bucket_output(others).begin(JOB)


def test_damaged_part_in_a_bucket_is_named() -> None:
    objects = MemoryStore()
    obstore.put(objects, PARTS[0][0].file, b"PAR1")
    with pytest.raises(StoreError, match=r"^s3://names/elves/part-0000000000000000\.parquet is damaged; remove it"):
        bucket_output(objects).find(PARTS[0][0])


ENUMERATE = ["bulk", "enumerate", "--dataset", "elves", "--min-log-prob", "-14"]


def listed(folder: Path) -> dict[str, float]:
    """The names of an enumeration with their log-probabilities, in the order of the parts."""
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return {str(name): value for table in tables for name, value in zip(*table.to_pydict().values(), strict=True)}


def test_enumeration_has_each_likely_name_once_with_its_score(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(
        main, [*ENUMERATE, "--output", str(tmp_path / "out"), "--parts", "4", "--processes", "1", "--case", "lower"]
    )
    assert result.exit_code == 0, result.output
    found = listed(tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_bytes())
    assert manifest["names"] == len(found) > 1000
    assert [*found] == sorted(found)
    names = [*found][:: len(found) // 20]
    scored = json.loads(runner.invoke(main, ["score", "--dataset", "elves", "--json", *names]).stdout)["scores"]
    assert [np.float32(score["log_prob"]) for score in scored] == [np.float32(found[name]) for name in names]
    assert min(found.values()) >= -14
    options = ["--count", "300", "--case", "lower", "--details", "--json"]
    drawn = json.loads(runner.invoke(main, ["generate", *DRAW[2:], *options]).stdout)["names"]
    likely = {name["name"] for name in drawn if name["log_prob"] >= -14}
    assert likely <= set(found)
    assert likely


def test_processes_and_parts_change_no_enumerated_name(runner: CliRunner, tmp_path: Path) -> None:
    for folder, options in {
        "one": ["--parts", "5", "--processes", "1"],
        "two": ["--parts", "5", "--processes", "2"],
        "whole": ["--parts", "1", "--processes", "1"],
    }.items():
        assert runner.invoke(main, [*ENUMERATE, "--output", str(tmp_path / folder), *options]).exit_code == 0
    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "two")
    assert len(bytes_in(tmp_path / "one")) == 5 + 2
    assert [*listed(tmp_path / "one").items()] == [*listed(tmp_path / "whole").items()]


def test_enumeration_lists_only_what_is_missing(runner: CliRunner, tmp_path: Path) -> None:
    command = [*ENUMERATE, "--output", str(tmp_path / "out"), "--parts", "3", "--processes", "1"]
    assert runner.invoke(main, command).exit_code == 0
    before = bytes_in(tmp_path / "out")
    kept = tmp_path / "out/part-0000000000000002.parquet"
    written = kept.stat().st_mtime_ns
    for name in ("part-0000000000000001.parquet", "manifest.json"):
        (tmp_path / "out" / name).unlink()
    assert runner.invoke(main, command).exit_code == 0
    assert bytes_in(tmp_path / "out") == before
    assert kept.stat().st_mtime_ns == written
    other = runner.invoke(main, [*command, "--novel"])
    assert (other.exit_code, "has the parts of another job" in other.output) == (2, True)


def test_enumeration_by_another_version_is_refused(settings: Settings) -> None:
    request = GenerateQuery(dataset="elves", unique=False)
    digest = Enumerator(settings, request, -9.0).digest
    with pytest.raises(OptionError, match="all machines need the same version"):
        Enumerator(settings, request.model_copy(update={"model": "wavenet@2"}), -9.0, digest)


def test_ray_is_named_where_it_is_absent(runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = draw(runner, tmp_path / "out", "--engine", "ray")
    assert (result.exit_code, "-r requirements/ray.txt" in result.output) == (2, True)
    result = draw(runner, tmp_path / "out", "--address", "auto")
    assert (result.exit_code, "--address needs --engine ray" in result.output) == (2, True)


@pytest.mark.slow
@pytest.mark.skipif(not RAY.exists(), reason="make test-all makes .venv-ray")
@pytest.mark.parametrize(
    "command",
    [[*DRAW, "--count", "9000", "--part-size", "2000"], [*ENUMERATE, "--parts", "5"]],
    ids=["draw", "enumerate"],
)
def test_parts_made_on_ray_are_the_same(command: list[str], elf_store: Path, tmp_path: Path) -> None:
    """In processes of its own, because Ray changes its process."""
    env = {**os.environ, **store_settings(elf_store)}
    for engine in ("local", "ray"):
        made = [str(RAY), "-m", "app", *command, "--engine", engine, "--processes", "2"]
        subprocess.run([*made, "--output", str(tmp_path / engine)], cwd=ROOT, env=env, check=True, timeout=600)
    assert bytes_in(tmp_path / "ray") == bytes_in(tmp_path / "local")
    assert len(bytes_in(tmp_path / "ray")) == 5 + 2
