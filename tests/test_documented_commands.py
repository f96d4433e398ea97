"""Every command of README.md and docs/*.md runs here, and prints what the page says.

The commands are read from the pages (`tests.documented`), which also lists the few that do not run. A command that no
test runs is a failure.
"""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from app.cli.main import main as app_main
from app.settings import Settings
from models import Kernels, ModelRegistry, Vocabulary
from models.inference.jit import default_folder
from tests.conftest import CONFIGS, draft_of, untrained
from tests.documented import (
    BLOCK,
    COMMANDS,
    EXCEPTIONS,
    LINES,
    PYTHON,
    ROOT,
    TEXTS,
    Command,
    bodies,
    commands_of,
    run_by,
    runner_of,
    with_few_steps,
)
from tests.harness.app_client import AppClient, app_client
from tests.harness.buckets import moto_server, running_moto
from tests.harness.service import environment
from training.cli import main as training_main

OTHER_BLOCKS = {"python", "text", "json", "nginx"}
STRAY = re.compile(r"^(?:\$ | {4,}(?:\$ |curl |docker |make |sudo |python |\.venv/)).*", re.MULTILINE)
MODULES = {"app": app_main, "training": training_main}
SHIPPED_ONLY = Settings(store=Path("/nonexistent/store"))


def test_every_documented_command_has_a_test() -> None:
    assert [str(command) for command in COMMANDS if not runner_of(command)] == []
    assert {" ".join(command.words) for command in run_by("exception")} == set(EXCEPTIONS)
    for new in ("namewave --new", "make new", "cd elsewhere", f"{PYTHON} -m app new", f"{PYTHON} data/build.py"):
        assert [runner_of(each) for each in commands_of("docs/api.md", f"```sh\n# new\n{new}\n```\n")] == [""], new


def test_commands_are_in_sh_and_console_blocks_only() -> None:
    for page, text in TEXTS.items():
        blocks = BLOCK.findall(text)
        assert 2 * len(blocks) == text.count("```"), page
        assert {kind for _, kind, _ in blocks} <= {*LINES, *OTHER_BLOCKS}, page
        assert all(body.startswith("$ ") for _, kind, body in blocks if kind == "console"), page
        assert STRAY.findall(BLOCK.sub("", text)) == [], page
        assert not any(STRAY.search(body) for _, kind, body in blocks if kind == "text"), page
    # tests/clients/test_client_package.py runs those of the README.
    assert {page for page, text in TEXTS.items() if "```python" in text} == {"README.md"}


CURL = argparse.ArgumentParser("curl", allow_abbrev=False)
CURL.add_argument("-X", dest="method")
CURL.add_argument("-H", dest="headers", action="append", default=[])
CURL.add_argument("-d", dest="body")
CURL.add_argument("url")


async def ask(client: AppClient, words: Sequence[str]) -> httpx.Response:
    """Send the request that curl would send to the service at its default address."""
    given = CURL.parse_args(words[1:])
    place = re.fullmatch(r"(?:http://)?(?:localhost|127\.0\.0\.1):8000(/\S*)", given.url)
    assert place is not None, given.url
    headers = httpx.Headers([tuple(header.split(": ", 1)) for header in given.headers])
    if given.body is not None:
        headers.setdefault("content-type", "application/x-www-form-urlencoded")
    method = given.method or ("GET" if given.body is None else "POST")
    return await client.request(method, place[1], headers=headers, content=given.body)


def compact(text: str) -> str:
    """Return JSON without the white space outside of its strings."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|\s+', lambda found: found[1] or "", text)


def missing_piece(documented: str, answer: str) -> str | None:
    """Return the first piece of `documented` that the answer lacks, where `...` stands for anything; else None."""
    text, place = f"\0{compact(answer)}\0", 0
    for piece in f"\0{compact(documented)}\0".split("..."):
        found = text.find(piece, place)
        if found < 0:
            return piece.strip("\0")
        place = found + len(piece)
    return None


@pytest.mark.parametrize(
    ("documented", "missing"),
    [
        ('{"a": 1,\n "b": "x y"}', None),
        ('{"a":1, ... }', None),
        ('{ ... "b":"x y"}', None),
        ('{"a":1}', '{"a":1}'),
        ('{"b": ... ,"a":1, ... }', '{"b":'),
        ('{"a":2, ... }', '{"a":2,'),
        ('{ ... "b":"xy"}', '"b":"xy"}'),
        ('{ ... "b":', '"b":'),
    ],
)
def test_elided_answer_is_compared_piece_by_piece(documented: str, missing: str | None) -> None:
    assert missing_piece(documented, '{"a":1,"b":"x y"}') == missing


@pytest.mark.anyio
async def test_documented_answers_of_the_service_are_real() -> None:
    commands = run_by("answer")
    async with app_client(SHIPPED_ONLY) as client:
        answers = [await ask(client, command.words) for command in commands]
    for command, answer in zip(commands, answers, strict=True):
        assert answer.status_code == 200, answer.text
        if answer.headers["content-type"] == "application/json":
            assert missing_piece(command.printed, answer.text) is None, f"{command}\n{answer.text}"
        else:
            assert answer.text == command.printed


@pytest.mark.anyio
async def test_documented_error_is_real() -> None:
    [documented] = bodies("json")
    async with app_client(SHIPPED_ONLY) as client:
        answer = await client.get("/generate?n=5")
    assert missing_piece(documented, answer.text) is None, answer.text


STARTS, ENDS = ("An", "Ben", "Em", "Gil", "Han", "Mar", "Sul", "Yv"), ("a", "el", "eth", "or")


@pytest.fixture
def folder(tmp_path: Path, made_up_names: tuple[str, ...]) -> Path:
    """A folder to call commands in: with this Python as .venv/bin/python, and a list of a thousand names."""
    program = tmp_path / PYTHON
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "my_list.txt").write_text("".join(f"{name}\n" for name in made_up_names), "utf-8")
    births = [f"{a}{b},{g},{len(a + b)}\n" for a in STARTS for b in ENDS for g in ("FM" if b == "a" else "F")]
    (tmp_path / "births.csv").write_text("Name,Gender,Count\n" + "".join(births), "utf-8")
    return tmp_path


def run_script(script: str, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run lines of a shell in `folder`; each of them has to succeed."""
    own = environment(PYTHONPATH=str(ROOT), **settings)
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("command", run_by("output"), ids=str)
def test_documented_output_of_a_command_is_real(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    # A line of words only needs no shell. Those of test_documented_script_runs have one.
    if command.text == shlex.join(command.words):
        printed = run_here(command.words, "/nonexistent/store")
    else:
        printed = run_script(command.text, folder, NAMEWAVE_STORE="/nonexistent/store").stdout
    assert printed == command.printed


def run_here(words: Sequence[str], store: str = "store") -> str:
    """Run `.venv/bin/python -m MODULE ...` in this process, and return its standard output."""
    _, _, module, *arguments = words
    result = CliRunner(env={"NAMEWAVE_STORE": store}).invoke(MODULES[module], arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_commands_that_publish_run_in_documented_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for command in run_by("publish"):
        run_here(command.words)
    assert [path.name for path in (folder / "store/elves/wavenet").iterdir()] == ["1"]
    aliases = json.loads((folder / "store/aliases.json").read_text("utf-8"))["elves"]
    assert (aliases["default"], aliases["wavenet"]["stable"]) == ("wavenet@1", 1)


@pytest.mark.slow
@pytest.mark.parametrize("command", run_by("experiment"), ids=str)
def test_documented_experiment_runs_with_few_steps(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = set(folder.rglob("*"))
    run_here(with_few_steps(command))
    assert set(folder.rglob("*")) > before


SCRIPT_LINES = [command for command in COMMANDS if runner_of(command) == "script"]


@pytest.mark.parametrize(("page", "block"), dict.fromkeys((line.page, line.block) for line in SCRIPT_LINES))
def test_documented_script_runs(
    page: str, block: int, folder: Path, kernels: Kernels, made_up_names: tuple[str, ...]
) -> None:
    script = "\n".join(line.text for line in SCRIPT_LINES if (line.page, line.block) == (page, block))
    if "stage" in script:
        network = untrained(CONFIGS["lstm"], len(Vocabulary.of(made_up_names)))
        ModelRegistry.open(kernels, user=folder / "stage").publish(draft_of(network, made_up_names))
    # The user and the folders of the page are not here.
    for documented, here in (
        ("sudo -u namewave ", ""),
        ("/opt/namewave", "."),
        ("/var/lib/namewave", "."),
        ("/var/cache/namewave", str(default_folder())),
    ):
        script = script.replace(documented, here)
    run_script(script, folder)


@pytest.mark.slow
def test_documented_check_of_a_bucket_passes(folder: Path) -> None:
    program = moto_server()
    if program is None:
        pytest.skip("moto is not installed: make test-all does it")
    script = "\n".join(line.text for line in run_by("bucket"))
    with running_moto(program, folder / "log") as port:
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        done = run_script(script, folder, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}", **keys)
    assert done.stdout.startswith("s3://models/namewave honours conditions: ")


@pytest.mark.anyio
async def test_documented_key_is_accepted(folder: Path) -> None:
    make, request = run_by("authorized")
    key = run_script(make.text, folder).stderr.split()[-1]
    # The comment has another header.
    [header] = re.findall(r"[A-Za-z-]+: nw_\.\.\.", request.text.partition(" # ")[2])
    forms = [request.words, ["curl", "-H", header, request.words[-1]]]
    async with app_client(SHIPPED_ONLY, keys=folder / "keys.txt") as client:
        statuses = [
            [(await ask(client, [word.replace("nw_...", given) for word in words])).status_code for words in forms]
            for given in (key, f"{key}x")
        ]
    assert statuses == [[200, 200], [401, 401]]


def test_documented_nginx_block_is_valid_beside_the_shipped_file(tmp_path: Path) -> None:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    [block] = bodies("nginx")
    shipped = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    # There is no certificate here.
    shipped = re.sub(r"^ +ssl_certificate.*\n", "", shipped, flags=re.MULTILINE)
    shipped = shipped.replace("listen 443 ssl;", f"listen unix:{tmp_path}/socket;")
    together = shipped.replace("    location / {", f"{block}    location / {{")
    assert together.count("location ") == shipped.count("location ") + 1
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path};" for kind in kinds)
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {folders} {together} }}", "utf-8")
    command = [program, "-t", "-p", str(tmp_path), "-c", str(file), "-e", f"{tmp_path}/error.log"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
