"""The commands of README.md and docs/*.md as they stand there, and which test runs each of them.

`tests/test_documented_commands.py` and `tests/test_documented_options.py` run them. The lessons (docs/lessons) have
tests of their own.
"""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}
# The indent, the kind and the body of a fenced block.
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
# A command with its continued lines, and in a console what it prints.
LINES = {
    "sh": re.compile(r"^((?:.*\\\n)*.+)\n()", re.MULTILINE),
    "console": re.compile(r"^\$ ((?:.*\\\n)*.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE),
}
PYTHON = ".venv/bin/python"
# What no test runs, and why.
EXCEPTIONS = {
    "make serve": "installs packages from an index; what it runs then is in tests/test_makefile.py",
    "make test": "runs this test, and continuous integration runs it (.ci/run)",
    "make training": "installs packages from an index, which `make test` does as well",
    "make reliability": "runs tests/reliability, as `make test` does",
    "docker build -t registry.example.org/namewave:0.2.0 --build-arg EXTRAS=redis bulk .": "needs Docker",
    "kubectl kustomize deploy/kubernetes/overlays/production": "tests/deploy/test_kubernetes.py renders and checks it",
    "kubectl apply -k deploy/kubernetes/overlays/production": "needs a cluster",
    "kill -HUP PID": "needs several worker processes: tests/reliability/test_workers.py sends it",
}
# Options that make few steps of a command that takes minutes as documented. The others take `--steps`.
FEW_STEPS = {"sweep": ("--trials", "2", "--passes", "1")}


def bodies(kind: str) -> list[str]:
    """Return the text of all blocks of a kind."""
    return [body for text in TEXTS.values() for _, each, body in BLOCK.findall(text) if each == kind]


@dataclass(frozen=True)
class Command:
    """A command of a page, the number of its block there, and what the page says that it prints."""

    page: str
    block: int
    kind: str
    text: str
    printed: str = ""

    @property
    def words(self) -> list[str]:
        """The words without the comment."""
        return shlex.split(self.text.replace("\\\n", ""), comments=True)

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def commands_of(page: str, text: str) -> Iterator[Command]:
    """Yield the commands of all `sh` and `console` blocks of a page."""
    for number, (_, kind, body) in enumerate(BLOCK.findall(text)):
        if kind in LINES:
            for command, printed in LINES[kind].findall(textwrap.dedent(body)):
                found = Command(page, number, kind, command, printed.rstrip("\n") + "\n")
                if found.words:
                    yield found


COMMANDS = [command for page, text in TEXTS.items() for command in commands_of(page, text)]


def runner_of(command: Command) -> str:
    """Return which test runs the command (its argument of `run_by`), "exception", or "" for none."""
    words = command.words
    module = words[2] if words[:2] == [PYTHON, "-m"] else ""
    if " ".join(words) in EXCEPTIONS:
        return "exception"
    if command.kind == "console":
        return "answer" if words[0] == "curl" else "output" if module else ""
    if words[:2] == ["docker", "compose"]:
        return "compose"
    if command.page == "docs/deployment.md":
        if words[0] == "export" or words[-1] == "check-store":
            return "bucket"
        if words[0] == "curl" or words[2:4] == ["app", "key"]:
            return "authorized"
        return "script" if PYTHON in words or words[0] in ("cd", "mkdir") else ""
    if words[2:4] in (["training", "train"], ["app", "models"], ["app", "generate"]):
        return "publish" if command.page in ("README.md", "docs/training.md") else ""
    if module and words[-1] == "--help":
        return "help"
    return "experiment" if module == "training" else ""


def run_by(runner: str) -> list[Command]:
    """Return the commands of a test; a line that is on two pages once."""
    found: dict[str, Command] = {}
    for command in COMMANDS:
        if runner_of(command) == runner:
            found.setdefault(" ".join(command.words), command)
    return list(found.values())


def with_few_steps(command: Command) -> list[str]:
    """Return the words of an experiment with the options that make it short."""
    return [*command.words, *FEW_STEPS.get(command.words[3], ("--steps", "20"))]
