"""The socket that clients come to, and how its address is told. Who answers there is not known here."""

import errno
import socket

from app.settings import Settings
from models.errors import ConfigError

# Bytes of an answer that the system keeps for a client. Left alone it keeps megabytes for each that does not read, and
# that it does not read is noticed late.
SEND_BUFFER = 262_144
# Hosts that mean all addresses, and the one of them that one can ask here.
ALL = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def listen(settings: Settings) -> socket.socket:
    """Return a socket bound to the host and the port of the settings. Raises `ConfigError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        place = f"{bracketed(settings.host)}:{settings.port}"
        raise ConfigError(f"cannot listen on {place}: {error.strerror}. {_way_out(error)}") from None
    listener.set_inheritable(True)
    return listener


def _way_out(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "Another port: --port 8001, or make serve PORT=8001."
    if error.errno == errno.EACCES:
        return "Ports below 1024 may be for the system only: --port 8001, or make serve PORT=8001."
    return "The host must be an address of this machine: --host 127.0.0.1, or 0.0.0.0 for all."


def address_of(settings: Settings) -> str:
    """Return where the service of these settings can be asked from this machine: http://127.0.0.1:8000."""
    return f"http://{bracketed(ALL.get(settings.host, settings.host))}:{settings.port}"


def bracketed(host: str) -> str:
    """Return a host as it stands before a port (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host
