"""A bucket as the store of the service and its commands, over an S3 server that is as it should be or has faults."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.main import main
from models import Kernels, ModelRegistry, StoreError
from models.store import bucket as bucket_module
from models.store.bucket import Bucket, open_store
from tests.harness.buckets import BUCKET, CONDITIONS, FaultyServer, ask, faulty_server, moto_server, running_moto
from tests.harness.clock import until
from tests.harness.service import served
from tests.harness.stores import ARCHITECTURE, DATASET, MODEL, small_draft

pytestmark = pytest.mark.slow
FAULTS = {
    "slow": "its server does not answer in time",
    "500": "its server answers 500 (InternalError)",
    "denied": "access is denied (SignatureDoesNotMatch); check the AWS_ variables and the bucket's policy",
}
PREFIXES = map("prefix-{}".format, itertools.count())


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an S3 server."""
    program = moto_server()
    if program is None:
        pytest.skip("moto is not installed: make test-all does it")
    with running_moto(program, tmp_path_factory.mktemp("moto") / "log") as port:
        yield port


@pytest.fixture
def server(moto: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyServer]:
    """A server without faults yet, which this process and its children use."""
    monkeypatch.setattr(bucket_module, "READING", bucket_module.READING | {"read_timeout": "300ms"})
    with faulty_server(moto) as server:
        # The kernels stay where they are.
        monkeypatch.setattr(bucket_module, "default_folder", lambda: tmp_path / "cache/namewave/kernels")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield server


@pytest.fixture
def url(server: FaultyServer) -> str:
    """A place in the bucket where nothing is."""
    return f"s3://{BUCKET}/{next(PREFIXES)}"


@pytest.fixture
def variables(url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a service over the bucket alone."""
    return {"NAMEWAVE_STORE": url, "NAMEWAVE_SHIPPED_STORE": str(tmp_path / "shipped")}


def command(variables: dict[str, str], *words: str) -> Result:
    """Run a command in this process."""
    return CliRunner(env=variables).invoke(main, [*words])


def open_registry(url: str, tmp_path: Path, kernels: Kernels) -> ModelRegistry:
    """Return what a process on this machine sees."""
    return ModelRegistry.open(kernels, url, tmp_path / "shipped")


def references(registry: ModelRegistry) -> list[str]:
    return [version.reference for version in registry.versions()]


def test_check_store_passes_on_a_server_with_conditions(server: FaultyServer, url: str, moto: int) -> None:
    done = command({"NAMEWAVE_STORE": url}, "models", "check-store")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "15 of 16" in done.stdout
    assert f"{url.rpartition('/')[2]}/.check" not in ask(moto, "GET", f"/{BUCKET}?list-type=2").decode()


@pytest.mark.parametrize(
    ("header", "where", "fault"),
    [
        ("if-none-match", "", "it creates an object twice"),
        ("if-match", "", "it replaces an object that has changed"),
        ("if-none-match", "-race", "of 16 writers that create an object at the same time 16 succeed"),
    ],
)
def test_server_without_conditions_is_refused(
    server: FaultyServer, url: str, header: str, where: str, fault: str
) -> None:
    server.set_fault(header, where)
    done = command({"NAMEWAVE_STORE": url}, "models", "check-store")
    assert done.exit_code == 2
    ignored = "because its server ignores conditions (If-None-Match, If-Match)"
    assert done.stderr == f"Error: {url} is not written, {ignored}: {fault}.\n"


@pytest.mark.parametrize("header", CONDITIONS)
def test_server_without_conditions_is_not_written(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels, header: str
) -> None:
    server.set_fault(header)
    registry = open_registry(url, tmp_path, kernels)
    with pytest.raises(StoreError, match="ignores conditions"):
        registry.publish(small_draft(1))
    assert Bucket.open(url).etags() == {}


def test_conditions_are_checked_once_in_a_process(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels
) -> None:
    registry = open_registry(url, tmp_path, kernels)
    for variant in (1, 2):
        registry.publish(small_draft(variant))
    assert len([line for line in server.requests if line.startswith("PUT") and "/.check/" in line]) == 4


@pytest.mark.parametrize("fault", [*FAULTS, "cut", "gone"])
def test_reader_goes_on_with_its_copy(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels, fault: str
) -> None:
    registry = open_registry(url, tmp_path, kernels)
    registry.publish(small_draft(1))
    reader = open_registry(url, tmp_path, kernels)
    publish_elsewhere(url, tmp_path, kernels)
    server.behind, behind = (1 if fault == "gone" else server.behind), server.behind
    server.set_fault("" if fault == "gone" else fault)
    reader.pull()
    reader.refresh()
    for each in (reader, open_registry(url, tmp_path, kernels)):
        assert references(each) == [f"{MODEL}@1"]
        [line] = each.fallbacks
        assert line.startswith(f"{url} cannot be read: {FAULTS.get(fault, '')}")
        assert line.endswith(". Until then its last copy is served.")
        assert "\n" not in line
        assert server.address not in line
    server.behind = behind
    server.set_fault("")
    reader.pull()
    reader.refresh()
    assert (references(reader), reader.fallbacks) == ([f"{MODEL}@1", f"{MODEL}@2"], [])


def publish_elsewhere(url: str, tmp_path: Path, kernels: Kernels) -> None:
    """Publish a second version from a machine with another copy."""
    store = open_store(url)
    store.root = tmp_path / "elsewhere"
    registry = ModelRegistry([*open_registry(url, tmp_path, kernels).stores[:1], store], kernels)
    registry.pull()
    registry.refresh()
    registry.publish(small_draft(2))


def test_wrong_bytes_of_a_file_keep_its_version_out(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels
) -> None:
    open_registry(url, tmp_path, kernels).publish(small_draft(1))
    publish_elsewhere(url, tmp_path, kernels)
    server.set_fault("wrong", f"/{ARCHITECTURE}/2/model.safetensors")
    reader = open_registry(url, tmp_path, kernels)
    assert references(reader) == [f"{MODEL}@1"]
    lead = f"{url}/{DATASET}/{ARCHITECTURE}/2/model.safetensors differs from its manifest"
    assert reader.fallbacks[0].startswith(lead)
    server.set_fault("")
    assert references(open_registry(url, tmp_path, kernels)) == [f"{MODEL}@1", f"{MODEL}@2"]


@pytest.mark.parametrize("fault", FAULTS)
def test_start_without_a_copy_is_one_line(server: FaultyServer, variables: dict[str, str], fault: str) -> None:
    server.set_fault(fault)
    done = command(variables, "models", "list")
    assert done.exit_code == 2
    assert done.stderr == f"Error: {variables['NAMEWAVE_STORE']} cannot be read: {FAULTS[fault]}.\n"


def test_missing_bucket_is_one_line(server: FaultyServer) -> None:
    for words, verb in ((["list"], "read"), (["check-store"], "written")):
        done = command({"NAMEWAVE_STORE": "s3://no-such-bucket"}, "models", *words)
        assert done.exit_code == 2
        assert done.stderr == f"Error: s3://no-such-bucket cannot be {verb}: there is no such bucket.\n"


def test_missing_network_is_one_line(
    server: FaultyServer, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    done = command(variables, "models", "list")
    assert done.stderr == f"Error: {variables['NAMEWAVE_STORE']} cannot be read: Connection refused.\n"


def test_wrong_key_is_one_line(server: FaultyServer, url: str, moto: int) -> None:
    ask(moto, "POST", "/moto-api/reset-auth", b"0")
    try:
        done = command({"NAMEWAVE_STORE": url}, "models", "check-store")
    finally:
        ask(moto, "POST", "/moto-api/reset-auth", b"inf")
    reason = "access is denied (InvalidAccessKeyId); check the AWS_ variables and the bucket's policy"
    assert done.stderr == f"Error: {url} cannot be written: {reason}.\n"


@pytest.mark.parametrize(
    "where", [f"{DATASET}/{ARCHITECTURE}/1/manifest.json", f"{DATASET}/{ARCHITECTURE}/1/names.txt", "aliases.json"]
)
def test_lost_answer_does_not_publish_twice(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels, where: str
) -> None:
    registry = open_registry(url, tmp_path, kernels)
    if where == "aliases.json":
        registry.publish(small_draft(1))
    server.set_fault("lost", f"PUT /{BUCKET}/{url.rpartition('/')[2]}/{where}", times=1)
    if where == "aliases.json":
        registry.alias(MODEL, "best", "1", "once")
    else:
        registry.publish(small_draft(1))
    assert server.times == 0
    assert references(open_registry(url, tmp_path, kernels)) == [f"{MODEL}@1"]
    assert len(registry.reasons()) == (where == "aliases.json")


@pytest.mark.parametrize("where", ["model.safetensors", "manifest.json"])
def test_failed_publication_shows_nothing(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels, where: str
) -> None:
    registry = open_registry(url, tmp_path, kernels)
    server.set_fault("500", where)
    with pytest.raises(StoreError, match=r"cannot be written: its server answers 500 \(InternalError\)\.$"):
        registry.publish(small_draft(1))
    server.set_fault("")
    assert references(open_registry(url, tmp_path, kernels)) == []
    assert registry.publish(small_draft(1)).reference in (f"{MODEL}@1", f"{MODEL}@2")


def test_workers_follow_the_bucket_and_start_without_it(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels, variables: dict[str, str]
) -> None:
    open_registry(url, tmp_path, kernels).publish(small_draft(1))
    kernels_folder = str(kernels.folder.parent) if kernels.folder else ""
    settings = variables | {
        "NAMEWAVE_WORKERS": "2",
        "NAMEWAVE_REFRESH": "0.2",
        "NAMEWAVE_KERNELS": kernels_folder,
        "XDG_CACHE_HOME": str(tmp_path / "cache of the service"),
    }
    with served(**settings) as service:
        publish_elsewhere(url, tmp_path, kernels)
        until(lambda: len(service.events("version came")) == 2)
        done = command(variables, "models", "alias", DATASET, "default", f"{ARCHITECTURE}@2", "--reason", "better")
        assert done.exit_code == 0, done.output
        until(lambda: len([line for line in service.events("alias moved") if line["alias"].endswith("default")]) == 2)
        server.set_fault("500")
        until(lambda: len(service.events("fallback")) == 2)
        assert f'"{MODEL}@2"' in ask(service.port, "GET", f"/generate?dataset={DATASET}").decode()
    with served(**settings | {"NAMEWAVE_WORKERS": "1"}) as service:
        assert f'"{MODEL}@2"' in ask(service.port, "GET", f"/generate?dataset={DATASET}").decode()
        [line] = service.events("fallback")
        assert line["reason"].endswith("Until then its last copy is served.")
        shown = ask(service.port, "GET", "/health/ready").decode()
        assert "the bucket cannot be read" in shown
        assert url not in shown
        server.set_fault("slow")
        requests = len(server.requests)
        until(lambda: len(server.requests) > requests)
        assert service.stop()[0] == 0


def test_bulk_draw_into_a_bucket_goes_on_after_a_fault(
    server: FaultyServer, url: str, tmp_path: Path, kernels: Kernels, variables: dict[str, str]
) -> None:
    """The model is read from a bucket as well. The parts are those of a folder, and each is written once."""
    open_registry(url, tmp_path, kernels).publish(small_draft(1))
    draw = ["bulk", "draw", "--dataset", DATASET, "--seed", "3", "--count", "3000", "--part-size", "1000"]
    draw += ["--processes", "1", "--output"]
    names = f"{url}-names"
    second = "part-0000000000001000.parquet"
    server.set_fault("500", f"PUT /{names.removeprefix('s3://')}/{second}")
    done = command(variables, *draw, names)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: {names} cannot be written: its server answers 500 (InternalError).\n" in done.stderr
    server.set_fault("")
    server.requests.clear()
    assert command(variables, *draw, names).exit_code == 0
    assert command(variables, *draw, str(tmp_path / "names")).exit_code == 0
    bucket = Bucket.open(names)
    files = {path.name: path.read_bytes() for path in (tmp_path / "names").iterdir()}
    assert {path: found.content for path in bucket.etags() if (found := bucket.read(path))} == files
    puts = [line.rpartition("/")[2] for line in server.requests if line.startswith("PUT")]
    assert second in puts
    assert not {"job.json", "part-0000000000000000.parquet"} & {*puts}
