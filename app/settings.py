"""Every setting of the service, read from environment variables called NAMEWAVE_... Nothing is read at import."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.registry import SHIPPED


def _split(given: object) -> object:
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


Listed = (NoDecode, BeforeValidator(_split))
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], *Listed]
Origins = Annotated[tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/?#\s]+)$")], ...], *Listed]


class Settings(BaseSettings):
    """The settings; each field is the variable NAMEWAVE_<FIELD>, which says nothing where it is empty."""

    model_config = SettingsConfigDict(env_prefix="NAMEWAVE_", env_ignore_empty=True, frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="Port to listen on; 0 for a free one.")
    store: Path = Field(Path(".namewave/artifacts"), description="Folder of your own versions; it need not exist.")
    shipped_store: Path = Field(SHIPPED, description="Folder of the versions that ship.")
    kernels: Path | None = Field(None, description="Folder of compiled kernels; the user's cache by default.")
    refresh: Annotated[float, Field(ge=0, le=3600)] = Field(
        1, description="Seconds between two looks for versions that came or went and aliases that moved; 0: never."
    )
    pins: Path | None = Field(
        None, description="File of pinned manifests (`python -m app models pins`); no version but those is served."
    )
    max_attempts: Annotated[int, Field(ge=1, le=10**8)] = Field(
        1_000_000, description="Most candidates that one request may draw."
    )
    max_stream_attempts: Annotated[int, Field(ge=1, le=10**8)] = Field(
        10_000_000, description="Most candidates that one stream may draw."
    )
    max_body_bytes: Annotated[int, Field(ge=256, le=2**30)] = Field(
        16_384, description="Largest request body in bytes; larger ones get 413."
    )
    max_score_bytes: Annotated[int, Field(ge=256, le=2**30)] = Field(
        524_288, description="Largest request body of /score in bytes."
    )
    receive_seconds: Annotated[float, Field(ge=0.2, le=3600)] = Field(
        8, description="Seconds in which a request must arrive, head and body; then its connection is closed."
    )
    send_seconds: Annotated[float, Field(ge=0.2, le=3600)] = Field(
        30, description="Seconds in which a client must take 16 KiB of its answer; then its connection is closed."
    )
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        75, description="Seconds that a connection may stay open between two requests."
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        2,
        description="Large requests that each process draws at the same time; fewer where its processors are fewer.",
    )
    queue_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        1,
        description=(
            "Longest wait before a request's work begins, in seconds. So that none waits longer, no more is taken on "
            "than is drawn in 15 % of that in a burst, and in 5 % where there is always more; the rest is refused."
        ),
    )
    deadline_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        30, description="Longest that names are drawn for one request, in seconds; then the answer is what there is."
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(1, description="Processes that serve, all at the same address.")
    watchdog: Annotated[float, Field(ge=0, le=3600)] = Field(
        10,
        description="Seconds that a process may be stuck before it ends, for another to take its place; 0: for ever.",
    )
    memory: Annotated[float, Field(ge=0, le=65_536)] = Field(
        64, description="Memory of prefixes in MiB, for each process; 0 turns it off. It never changes a name."
    )
    unsafe_words: Path | None = Field(
        None, description="Text file of words, one a line, that `safe` refuses beside those of the list."
    )
    safe_words: Path | None = Field(
        None, description="Text file of names and words, one a line, that `safe` lets pass."
    )
    limit: Annotated[int, Field(ge=0, le=10**12)] = Field(
        20_000_000, description="Characters a minute that may be drawn for each client; 0: no limit."
    )
    limits_store: Annotated[str, Field(pattern=r"^rediss?://\S+$")] | None = Field(
        None,
        description="`redis://host:6379/0`, where all processes and machines count together. "
        "Without it each process grants its part of the limit.",
    )
    trusted_proxies: Networks = Field(
        (), description="Networks, with commas between, whose X-Forwarded-For is believed: `10.0.0.0/8,::1`."
    )
    keys: Path | None = Field(
        None, description="File of API keys as `python -m app key` prints them; without it nobody needs one."
    )
    cors_origins: Origins = Field(
        (), description="Origins, with commas between, whose pages may ask: `https://example.org`, or `*`."
    )
    telemetry: bool = Field(
        False,
        description="Send a span of each request to OTEL_EXPORTER_OTLP_ENDPOINT (OpenTelemetry; its query too); needs "
        "`requirements/telemetry.txt`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least important lines to log.")
    log_format: Literal["console", "json"] = Field(
        "console", description="Log lines for people, or one JSON object each."
    )
