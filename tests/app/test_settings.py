"""NAMEWAVE_ variables: errors for wrong values, warnings about unknown names, defaults for empty ones."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import main
from app.settings import OTHER_VARIABLES, Settings, unknown_variables

ROOT = Path(__file__).parents[2]
KUBERNETES = ("NAMEWAVE_SERVICE_HOST", "NAMEWAVE_PORT_80_TCP_ADDR")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*(f"NAMEWAVE_{field.upper()}" for field in Settings.model_fields), *OTHER_VARIABLES):
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
def test_wrong_setting_is_one_line_with_advice(name: str, given: str, words: list[str]) -> None:
    """It names the variable, its value and what is allowed, but no pattern, no class and no password."""
    result = CliRunner(env={f"NAMEWAVE_{name}": given}).invoke(main, ["serve"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert result.stderr.startswith(f"Error: NAMEWAVE_{name} is ")
    assert [word for word in words if word not in result.stderr] == []
    for internal in ("^", "_VALIDATOR", "LAX", "IPv4Network", "NetmaskValueError", "hidden"):
        assert internal not in result.stderr


def test_help_of_serve_names_the_list_of_settings() -> None:
    text = " ".join(CliRunner().invoke(main, ["serve", "--help"]).stdout.split())
    assert "environment variable NAMEWAVE_..." in text
    assert "python -m app settings" in text


def test_wrong_settings_have_a_line_each() -> None:
    result = CliRunner(env={"NAMEWAVE_LIMIT": "-1"}).invoke(main, ["serve", "--port", "99999"])
    assert re.findall(r"^Error: (\w+) is '?([-\w]+)'?; allowed: .+\.$", result.stderr, re.MULTILINE) == [
        ("NAMEWAVE_PORT", "99999"),
        ("NAMEWAVE_LIMIT", "-1"),
    ]


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMEWAVE_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    monkeypatch.setenv("NAMEWAVE_CORS_ORIGINS", "https://example.org,http://127.0.0.1:3000")
    settings = Settings()
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert settings.cors_origins == ("https://example.org", "http://127.0.0.1:3000")
    assert json.dumps(settings.model_dump(mode="json"))


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_serve_warns_of_unknown_variables(log_format: str, tmp_path: Path) -> None:
    """A misspelt setting with the nearest one, none with its value; the start goes on."""
    unset = {**dict.fromkeys(KUBERNETES, "hidden"), **dict.fromkeys(OTHER_VARIABLES, "hidden")}
    # The start ends before anything is opened: this file does not exist.
    ends = {"NAMEWAVE_SAFE_WORDS": str(tmp_path / "none"), "NAMEWAVE_LOG_FORMAT": log_format}
    result = CliRunner(env={"NAMEWAVE_KEY": "hidden", **unset, **ends}).invoke(main, ["serve"])
    warnings = [line for line in result.stderr.splitlines() if "no such setting" in line]
    assert len(warnings) == 3
    assert ["NAMEWAVE_KEYS" in line for line in warnings if re.search(r"NAMEWAVE_KEY\b", line)] == [True]
    assert [name for name in KUBERNETES if sum(name in line for line in warnings) != 1] == []
    assert "hidden" not in result.stderr
    assert "NAMEWAVE_SAFE_WORDS" in result.stderr.splitlines()[-1]


def test_every_variable_of_the_project_is_known() -> None:
    folders = ("app", "benchmarks", "models", "training", "tests")
    files = [path for folder in folders for path in ROOT.glob(f"{folder}/**/*.py") if path != Path(__file__)]
    files += [ROOT / name for name in ("Dockerfile", "Makefile", "docker-compose.yml", "docs/configuration.md")]
    texts = (path.read_text("utf-8") for path in files)
    named = {name for text in texts for name in re.findall(r"\bNAMEWAVE_[A-Z][A-Z_]*[A-Z]\b", text)}
    assert len(named) > len(Settings.model_fields)
    assert list(unknown_variables(named)) == []
    assert not {f"NAMEWAVE_{field.upper()}" for field in Settings.model_fields} & set(OTHER_VARIABLES)


def test_variable_names_are_case_insensitive() -> None:
    assert list(unknown_variables(["namewave_port", "PATH", "MY_NAMEWAVE_PORT"])) == []
    assert list(unknown_variables(["namewave_prot"])) == [("namewave_prot", "NAMEWAVE_PORT")]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_empty_variable_means_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file gives an unset variable as an empty one; an empty path would be the current folder."""
    monkeypatch.setenv(f"NAMEWAVE_{name.upper()}", "")
    assert getattr(Settings(), name) == Settings.model_fields[name].get_default()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_description(name: str) -> None:
    assert Settings.model_fields[name].description
