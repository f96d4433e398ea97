"""`python -m training lessons`: figures beside promises, the exit status, Ctrl-C, and nobody's own store touched."""

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from training.cli import main
from training.errors import Interrupted
from training.lessons import child
from training.lessons.child import ROOT, Ended, environment, run_command

PAGE = """# {title}

## Check yourself

```sh
{command}
```

```figure
{figure}
```
"""


def lesson(folder: Path, name: str, command: str, figure: str) -> None:
    (folder / name).write_text(PAGE.format(title=name, command=command, figure=figure))


def lessons(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["lessons", "--folder", str(folder), *options])


def test_figures_are_compared_with_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lesson that prints what it promises passes; a wrong figure, a label never printed and a command that fails are
    each told, and then the status is 1 and the message names the lessons.
    """
    lesson(tmp_path, "02-good.md", "python -m training good", "parameters: 15230 +- 2")
    lesson(tmp_path, "03-wrong.md", "python -m training good", "parameters: 15229 +- 2\nbirds: 1 +- 1")
    lesson(tmp_path, "05-broken.md", "python -m training broken", "parameters: 15232 +- 1")
    outputs = {"good": Ended(0, "parameters: 15232\n"), "broken": Ended(1, "parameters: 15232\nError: no.\n")}
    monkeypatch.setattr("training.lessons.check.run_command", lambda command, folder, hear: outputs[command[3]])
    result = lessons(tmp_path)
    assert result.exit_code == 1
    assert "ok     parameters: 15232, promised 15230 +- 2" in result.output
    assert "MISSED parameters: 15232, promised 15229 +- 2" in result.output
    assert "MISSED birds: nothing, promised 1 +- 1" in result.output
    assert "the command ended with status 1" in result.output
    assert "2 of 3 lessons did not print what they promise: 03, 05." in result.output
    assert "--only 03 --only 05" in result.output


def test_one_lesson_alone(tmp_path: Path) -> None:
    """--only chooses by number, with or without the zero, and its command really runs, in a folder that is gone
    afterwards; a number of no lesson is answered with those there are.
    """
    lesson(tmp_path, "02-good.md", "python -m app next --model mlp@3 --help", "parameters: 15232 +- 0")
    lesson(tmp_path, "03-other.md", "python -m training nothing", "parameters: 1 +- 0")
    result = lessons(tmp_path, "--only", "2")
    assert result.exit_code == 1
    assert "   | Usage: python -m app next [OPTIONS]\n" in result.output
    assert "MISSED parameters: nothing, promised 15232 +- 0" in result.output
    assert "1 of 1 lessons did not print what they promise: 02." in result.output
    assert "nothing.\n" not in result.output
    assert "--only is '07'; allowed: 02, 03." in lessons(tmp_path, "--only", "7").output


def test_a_command_sees_no_store_but_the_one_that_ships(tmp_path: Path) -> None:
    """It runs in the folder given, with this project's packages, and not with the user's store or runs."""
    outer = {"NAMEWAVE_STORE": "/mine", "NAMEWAVE_RUNS": "/runs", "NAMEWAVE_KERNELS": "/kernels", "PYTHONPATH": "/more"}
    seen = environment(outer)
    assert {name for name in seen if name.startswith("NAMEWAVE")} == {"NAMEWAVE_KERNELS"}
    assert seen["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/more"]
    heard: list[str] = []
    source = "import os, data; print(os.getcwd()); raise SystemExit(3)"
    ended = run_command(("python", "-c", source), tmp_path, heard.append)
    assert (ended.status, ended.output) == (3, f"{tmp_path}\n")
    assert heard == [str(tmp_path)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_stop_ends_the_command_too(tmp_path: Path, number: signal.Signals) -> None:
    """A stop while a command runs reaches it as Ctrl-C would, and the check ends when the command has ended."""
    source = """
import pathlib, threading
try:
    print("begun", flush=True)
    threading.Event().wait()
except KeyboardInterrupt:
    pathlib.Path("farewell").write_text("asked politely")
"""
    # Who runs the tests in the background made them deaf to Ctrl-C, and so the command.
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="Stopped; what was checked before"):
            run_command(("python", "-c", source), tmp_path, lambda line: signal.raise_signal(number))
        assert (tmp_path / "farewell").read_text() == "asked politely"
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    finally:
        signal.signal(signal.SIGINT, deaf)


def test_a_command_that_does_not_listen_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that was started deaf to Ctrl-C is ended when patience is over."""
    monkeypatch.setattr(child, "PATIENCE", 0.1)
    source = """
import signal, threading
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("begun", flush=True)
threading.Event().wait()
"""
    with pytest.raises(Interrupted):
        run_command(("python", "-c", source), tmp_path, lambda line: signal.raise_signal(signal.SIGTERM))
