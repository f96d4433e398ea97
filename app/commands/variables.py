"""What is wrong with the variables NAMEWAVE_...: a line for each setting that has a value it may not have, and for each
variable that is no setting. Settings themselves are read in `app.settings`.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_interface
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.settings import Settings

PREFIX = "NAMEWAVE_"
# Read by training and by tests.
OTHERS = ("NAMEWAVE_RUNS", "NAMEWAVE_NO_SKIP", "NAMEWAVE_SCREENSHOTS", "NAMEWAVE_SHARED")
# Of those that numbers and choices do not tell.
ALLOWED = {
    "trusted_proxies": "networks, with commas between: 10.0.0.0/8,::1",
    "cors_origins": "scheme://host or scheme://host:port, without a slash at the end, with commas between, or *",
    "limits_store": "redis://host:6379/0, or rediss:// for TLS",
}
KINDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
# How near the name of a setting must be to be meant.
NEAR = 0.6


def wrong_values(error: ValidationError) -> list[str]:
    """Return a line for each setting that is wrong: what was given, what is allowed, what to do."""
    given: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        shown = given.setdefault(str(item["loc"][0]), [])
        # A part of a list is wrong in as many ways as there are kinds that it could be.
        if _shown(item["input"]) not in shown:
            shown.append(_shown(item["input"]))
    return [_wrong(name, values) for name, values in given.items()]


def _wrong(name: str, values: Sequence[str]) -> str:
    advice = dict.fromkeys(filter(None, (_advice(name, value) for value in values)))
    said = ", ".join(map(repr, values))
    return " ".join([f"{PREFIX}{name.upper()} is {said}; allowed: {allowed(name)}.", *advice])


def _shown(given: Any) -> str:
    # The address of a store may hold a password.
    return re.sub(r".*@", "...@", str(given), flags=re.DOTALL)


def allowed(name: str) -> str:
    """Return what the setting `name` may be: "a whole number, 0 to 65535"."""
    schema = Settings.model_json_schema()["properties"][name]
    if name in ALLOWED:
        return ALLOWED[name]
    if "enum" in schema:
        return ", ".join(schema["enum"])
    kind = KINDS.get(schema.get("type"), "text")
    if "minimum" in schema:
        return f"{kind}, {schema['minimum']:.15g} to {schema['maximum']:.15g}"
    if "exclusiveMinimum" in schema:
        return f"{kind} above {schema['exclusiveMinimum']:.15g}, {schema['maximum']:.15g} at most"
    return kind


def _advice(name: str, given: str) -> str:
    """Return what to write instead of `given`, nothing where that cannot be guessed."""
    if name == "port" and given.startswith("tcp://"):
        return "Kubernetes sets it so for a Service that is called namewave: set the port itself, or call that another."
    if name == "trusted_proxies":
        try:
            place = ip_interface(given)
        except ValueError:
            return ""
        return f"{given} has host bits: say {place.network} for the network, {place.ip} for the one address."
    return _origin(given) if name == "cors_origins" else ""


def _origin(given: str) -> str:
    try:
        parts = urlsplit(given if "://" in given else f"https://{given}")
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[^@\s]+", parts.netloc):
        return ""
    return f"Say {parts.scheme}://{parts.netloc} instead of {given!r}."


def unknown_variables(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each variable NAMEWAVE_... of `names` that is no setting, and the nearest that is one, or nothing. Case
    does not matter, as it does not to settings.
    """
    settings = {f"{PREFIX}{field}".upper() for field in Settings.model_fields}
    for name in sorted(names):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in settings and upper not in OTHERS:
            bare = [each.removeprefix(PREFIX) for each in settings]
            near = difflib.get_close_matches(upper.removeprefix(PREFIX), sorted(bare), n=1, cutoff=NEAR)
            yield name, f"{PREFIX}{near[0]}" if near else ""
