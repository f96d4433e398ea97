"""Settings of the service from NAMEWAVE_ variables, and readable errors for wrong values."""

import difflib
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_interface
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.errors import ConfigError
from models.store.bucket import ALLOWED_LOCATIONS, Location, parse_location
from models.store.registry import SHIPPED


def _split(given: object) -> object:
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


Listed = (NoDecode, BeforeValidator(_split))
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], *Listed]
StoreLocation = Annotated[Location, BeforeValidator(parse_location)]
Origins = Annotated[tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/?#\s]+)$")], ...], *Listed]


# A prefix must not look like one of our own paths.
OUR_PATHS = "datasets|docs|generate|health|info|lab|metrics|models|next|openapi.json|playground|redoc|score"
ROOT_PATH = re.compile(rf"^(?!/(?:{OUR_PATHS})(?:/|$))(?:/[A-Za-z0-9._~-]+)*$")


class Settings(BaseSettings):
    """The settings; each field is the variable NAMEWAVE_<FIELD>. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix="NAMEWAVE_", env_ignore_empty=True, frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 means all.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on; 0 means a free one.")
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        0,
        description="Port of `/metrics` alone, without a key or a rate limit, at the same address; then other ports do "
        "not have it. 0 leaves it at the port of the service.",
    )
    root_path: Annotated[str, Field(pattern=ROOT_PATH)] = Field(
        "", description="Path prefix of the service behind a proxy, such as `/names`; the proxy may strip it or not."
    )
    store: StoreLocation = Field(
        Path(".namewave/artifacts"),
        description="Folder of your own versions, which may be missing, or a bucket: `s3://bucket/prefix`.",
    )
    shipped_store: Path = Field(SHIPPED, description="Folder of the shipped versions.")
    own_lists: bool = Field(False, description="Whether clients may download the training lists of your own versions.")
    kernels: Path | None = Field(None, description="Folder of compiled kernels; the user's cache by default.")
    refresh: Annotated[float, Field(ge=0, le=3600)] = Field(
        1, description="Seconds between two checks for new or removed versions and moved aliases; 0 disables them."
    )
    pins: Path | None = Field(
        None, description="File of pinned manifests (`python -m app models pins`); only these versions are served."
    )
    max_attempts: Annotated[int, Field(ge=1, le=10**8)] = Field(
        1_000_000, description="Largest number of candidates for one request."
    )
    max_stream_attempts: Annotated[int, Field(ge=1, le=10**8)] = Field(
        10_000_000, description="Largest number of candidates for one stream."
    )
    max_body_bytes: Annotated[int, Field(ge=256, le=2**30)] = Field(
        16_384, description="Largest request body in bytes; larger ones get 413."
    )
    max_score_bytes: Annotated[int, Field(ge=256, le=2**30)] = Field(
        524_288, description="Largest request body of /score in bytes."
    )
    receive_seconds: Annotated[float, Field(ge=0.2, le=3600)] = Field(
        8, description="Seconds for a request to arrive, head and body; then its connection is closed."
    )
    send_seconds: Annotated[float, Field(ge=0.2, le=3600)] = Field(
        30, description="Seconds for a client to read 16 KiB of its answer; then its connection is closed."
    )
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        75, description="Seconds that a connection may stay open between two requests."
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        2,
        description="Large requests that each process samples in parallel; at most its share of the processors.",
    )
    queue_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        1, description="Longest queue for threads, in seconds of estimated work; requests beyond it get 503."
    )
    deadline_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        30, description="Longest sampling time of one request in seconds; then the answer has the names so far."
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(1, description="Processes that serve at the same address.")
    watchdog: Annotated[float, Field(ge=0, le=3600)] = Field(
        10,
        description="Seconds that an event loop may be blocked before its process ends. "
        "With several workers a new one takes its place. 0 disables this.",
    )
    memory: Annotated[float, Field(ge=0, le=65_536)] = Field(
        64, description="Size of the prefix cache in MiB, for each process; 0 disables it. It never changes a name."
    )
    unsafe_words: Path | None = Field(None, description="Text file with one word per line that `safe` also rejects.")
    safe_words: Path | None = Field(None, description="Text file with one name or word per line that `safe` allows.")
    limit: Annotated[int, Field(ge=0, le=10**12)] = Field(
        200_000_000, description="Characters per minute that each client may draw; 0 means no limit."
    )
    limits_store: Annotated[str, Field(pattern=r"^rediss?://\S+$")] | None = Field(
        None,
        description="Redis with counters for all processes and machines, such as `redis://host:6379/0`. "
        "Without it each process grants its part of the limit.",
    )
    trusted_proxies: Networks = Field(
        (), description="Networks whose X-Forwarded-For is trusted, separated by commas: `10.0.0.0/8,::1`."
    )
    keys: Path | None = Field(
        None, description="File of API keys as `python -m app key` prints them; without it no key is needed."
    )
    cors_origins: Origins = Field(
        (), description="Origins whose pages may send requests, separated by commas: `https://example.org`, or `*`."
    )
    telemetry: bool = Field(
        False,
        description="Send an OpenTelemetry span of each request, with its query, to OTEL_EXPORTER_OTLP_ENDPOINT; needs "
        "`requirements/telemetry.txt`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level to log.")
    log_format: Literal["console", "json"] = Field(
        "console", description="Readable log lines, or one JSON object per line."
    )


ENV_PREFIX = "NAMEWAVE_"
CONFIGURATION = """# Configuration

Environment variables of the service, or lines under `environment:` in the compose file. An empty variable counts as
unset. An unknown variable that begins with `NAMEWAVE_` gets a warning at the start. `python -m app settings`
prints this page.

| variable | meaning | default |
|---|---|---|
"""
# Variables of training and of the tests.
OTHER_VARIABLES = ("NAMEWAVE_RUNS", "NAMEWAVE_NO_SKIP", "NAMEWAVE_SCREENSHOTS", "NAMEWAVE_SHARED")
# Allowed values that the JSON schema of a setting does not say.
ALLOWED = {
    "store": ALLOWED_LOCATIONS,
    "trusted_proxies": "networks, with commas between: 10.0.0.0/8,::1",
    "cors_origins": "scheme://host or scheme://host:port, without a slash at the end, with commas between, or *",
    "limits_store": "redis://host:6379/0, or rediss:// for TLS",
}
TYPE_NAMES = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
# Least similarity of a suggested name.
SIMILARITY = 0.6


def configuration_page() -> str:
    """Return docs/configuration.md: every setting, its meaning and its default."""
    rows = [
        f"| `{ENV_PREFIX}{name.upper()}` | {field.description} | {_shown_default(field.default)} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return CONFIGURATION + "".join(rows)


def _shown_default(default: object) -> str:
    if default == SHIPPED:
        return "`models/artifacts` of the package"
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return "none" if default in (None, (), "") else f"`{text}`"


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment, with the `overrides` that are not None.

    Raises `ConfigError` with a line for each wrong setting: what was given, what is allowed, what to do.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise ConfigError("\n".join(wrong_values(error))) from None


def wrong_values(error: ValidationError) -> list[str]:
    """Return a line for each wrong setting."""
    given: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        values = given.setdefault(str(item["loc"][0]), [])
        # pydantic reports a wrong part of a list once for each type that it could have.
        if _without_password(item["input"]) not in values:
            values.append(_without_password(item["input"]))
    lines = []
    for name, values in given.items():
        advice = dict.fromkeys(filter(None, (_advice(name, value) for value in values)))
        shown = ", ".join(map(repr, values))
        lines.append(" ".join([f"{ENV_PREFIX}{name.upper()} is {shown}; allowed: {allowed(name)}.", *advice]))
    return lines


def _without_password(given: Any) -> str:
    return re.sub(r".*@", "...@", str(given), flags=re.DOTALL)


def allowed(name: str) -> str:
    """Return what a setting allows: "a whole number, 0 to 65535"."""
    schema = Settings.model_json_schema()["properties"][name]
    if name in ALLOWED:
        return ALLOWED[name]
    if "enum" in schema:
        return ", ".join(schema["enum"])
    kind = TYPE_NAMES.get(schema.get("type"), "text")
    if "minimum" in schema:
        return f"{kind}, {schema['minimum']:.15g} to {schema['maximum']:.15g}"
    if "exclusiveMinimum" in schema:
        return f"{kind} above {schema['exclusiveMinimum']:.15g}, {schema['maximum']:.15g} at most"
    return kind


def _advice(name: str, given: str) -> str:
    """Return what to write instead of `given`, or "" where that cannot be guessed."""
    if name == "port" and given.startswith("tcp://"):
        return "Kubernetes sets it so for a Service that is called namewave: set the port itself, or call that another."
    if name == "trusted_proxies":
        try:
            place = ip_interface(given)
        except ValueError:
            return ""
        return f"{given} has host bits: say {place.network} for the network, {place.ip} for the one address."
    return _origin_advice(given) if name == "cors_origins" else ""


def _origin_advice(given: str) -> str:
    try:
        parts = urlsplit(given if "://" in given else f"https://{given}")
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[^@\s]+", parts.netloc):
        return ""
    return f"Say {parts.scheme}://{parts.netloc} instead of {given!r}."


def unknown_variables(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each unknown NAMEWAVE_ variable with the most similar setting or "".

    Case does not matter.
    """
    settings = {f"{ENV_PREFIX}{field}".upper() for field in Settings.model_fields}
    for name in sorted(names):
        upper = name.upper()
        if upper.startswith(ENV_PREFIX) and upper not in settings and upper not in OTHER_VARIABLES:
            fields = sorted(each.removeprefix(ENV_PREFIX) for each in settings)
            similar = difflib.get_close_matches(upper.removeprefix(ENV_PREFIX), fields, n=1, cutoff=SIMILARITY)
            yield name, f"{ENV_PREFIX}{similar[0]}" if similar else ""
