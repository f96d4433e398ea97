"""The variables NAMEWAVE_...: what is said of values that are wrong, of names that are no setting, of nothing."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.commands.variables import OTHERS, unknown_variables
from app.settings import Settings

ROOT = Path(__file__).parents[2]
KUBERNETES = ("NAMEWAVE_SERVICE_HOST", "NAMEWAVE_PORT_80_TCP_ADDR")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours but those that a test sets."""
    for name in (*(f"NAMEWAVE_{field.upper()}" for field in Settings.model_fields), *OTHERS):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("TRUSTED_PROXIES", "10.0.0.1/8", ["'10.0.0.1/8'", "10.0.0.0/8,::1", "say 10.0.0.0/8 for", "10.0.0.1 for"]),
        ("TRUSTED_PROXIES", "::1, 10.0.0.1/8, office", ["'10.0.0.1/8', 'office'", "host bits"]),
        ("TRUSTED_PROXIES", "10.0.0.0/99", ["'10.0.0.0/99'", "networks"]),
        ("CORS_ORIGINS", "https://a.example/", ["without a slash at the end", "Say https://a.example instead"]),
        ("CORS_ORIGINS", "a.example:8080", ["'a.example:8080'", "Say https://a.example:8080 instead"]),
        ("CORS_ORIGINS", "https://[/", ["'https://[/'", "scheme://host"]),
        ("LIMITS_STORE", "redis//:hidden@host", ["redis://host:6379/0", "...@host"]),
        ("PORT", "99999", ["'99999'", "a whole number, 0 to 65535"]),
        ("PORT", "tcp://10.0.0.1:80", ["'tcp://10.0.0.1:80'", "Kubernetes"]),
        ("LIMIT", "1.5", ["'1.5'", "a whole number, 0 to 1000000000000"]),
        ("QUEUE_SECONDS", "0", ["'0'", "a number above 0, 60 at most"]),
        ("LOG_LEVEL", "loud", ["'loud'", "debug, info, warning, error"]),
        ("TELEMETRY", "perhaps\nnot", [r"'perhaps\nnot'", "true or false"]),
    ],
)
def test_a_wrong_setting_is_one_plain_line(name: str, given: str, words: list[str]) -> None:
    """Its line has the variable's name, what was given, what is allowed, what to write; no pattern, no class, no
    password.
    """
    result = CliRunner(env={f"NAMEWAVE_{name}": given}).invoke(main, ["serve"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert result.stderr.startswith(f"Error: NAMEWAVE_{name} is ")
    assert [word for word in words if word not in result.stderr] == []
    for odd in ("^", "_VALIDATOR", "LAX", "IPv4Network", "NetmaskValueError", "hidden"):
        assert odd not in result.stderr


def test_the_help_of_serve_says_where_settings_come_from() -> None:
    """Who asks for the options learns that there are variables, and where their list is."""
    told = " ".join(CliRunner().invoke(main, ["serve", "--help"]).stdout.split())
    assert "environment variable NAMEWAVE_..." in told
    assert "README.md" in told
    assert "\n## Settings\n" in (ROOT / "README.md").read_text("utf-8")


def test_wrong_settings_have_a_line_each() -> None:
    """Two that are wrong are two lines, also where one came as an option."""
    result = CliRunner(env={"NAMEWAVE_LIMIT": "-1"}).invoke(main, ["serve", "--port", "99999"])
    assert re.findall(r"^Error: (\w+) is '?([-\w]+)'?; allowed: .+\.$", result.stderr, re.MULTILINE) == [
        ("NAMEWAVE_PORT", "99999"),
        ("NAMEWAVE_LIMIT", "-1"),
    ]


@pytest.mark.parametrize("form", ["console", "json"])
def test_serve_warns_of_variables_that_are_no_setting(form: str, tmp_path: Path) -> None:
    """A misspelt setting is told with the nearest one and without its value, others without; the start goes on. What
    the project reads elsewhere is not told.
    """
    more = {**dict.fromkeys(KUBERNETES, "hidden"), **dict.fromkeys(OTHERS, "hidden")}
    # A start that ends before anything is opened: no word list.
    ends = {"NAMEWAVE_SAFE_WORDS": str(tmp_path / "none"), "NAMEWAVE_LOG_FORMAT": form}
    result = CliRunner(env={"NAMEWAVE_KEY": "hidden", **more, **ends}).invoke(main, ["serve"])
    told = [line for line in result.stderr.splitlines() if "no such setting" in line]
    assert len(told) == 3
    assert ["NAMEWAVE_KEYS" in line for line in told if re.search(r"NAMEWAVE_KEY\b", line)] == [True]
    assert [name for name in KUBERNETES if sum(name in line for line in told) != 1] == []
    assert "hidden" not in result.stderr
    assert "NAMEWAVE_SAFE_WORDS" in result.stderr.splitlines()[-1]


def test_every_variable_of_the_project_is_known() -> None:
    """Whatever variable the project's own files name is a setting or one of the others, none of which is a setting."""
    files = [
        path for room in ("app", "benchmarks", "models", "training", "tests") for path in ROOT.glob(f"{room}/**/*.py")
    ]
    files += [ROOT / name for name in ("Dockerfile", "Makefile", "docker-compose.yml", "README.md")]
    texts = [path.read_text("utf-8") for path in files if path != Path(__file__)]
    named = {name for text in texts for name in re.findall(r"\bNAMEWAVE_[A-Z][A-Z_]*[A-Z]\b", text)}
    assert len(named) > len(Settings.model_fields)
    assert list(unknown_variables(named)) == []
    assert not {f"NAMEWAVE_{field.upper()}" for field in Settings.model_fields} & set(OTHERS)


def test_settings_in_any_case_are_known() -> None:
    """A variable counts in small letters, too, so it is not told; variables of others are nobody's business."""
    assert list(unknown_variables(["namewave_port", "PATH", "MY_NAMEWAVE_PORT"])) == []
    assert list(unknown_variables(["namewave_prot"])) == [("namewave_prot", "NAMEWAVE_PORT")]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_variable_is_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty, as a compose file gives what is not set, each setting has its default: no path is this folder."""
    monkeypatch.setenv(f"NAMEWAVE_{name.upper()}", "")
    assert getattr(Settings(), name) == Settings.model_fields[name].get_default()
