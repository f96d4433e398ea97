"""Who asks: the address of a client, behind proxies that are trusted and no others, as limits count it."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from app import headers

UNKNOWN = "(unknown)"
# One household, or one machine, has that many addresses: one client.
PREFIX = 64
REMEMBERED = 4096
Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


class Clients:
    """Tells clients apart. Proxies of the networks `trusted` tell in X-Forwarded-For whom they ask for."""

    def __init__(self, trusted: Networks = ()) -> None:
        self.trusted = tuple(trusted)
        self._name = lru_cache(REMEMBERED)(client_name)

    def name(self, scope: Scope) -> str:
        """Return what the client of this connection is counted as: an IPv4 address, or an IPv6 network."""
        host: str = scope["client"][0] if scope.get("client") else ""
        if self.trusted and self._trusts(address_of(host)):
            host = self._forwarded(host, headers.values(scope, b"x-forwarded-for"))
        return self._name(host)

    def _forwarded(self, host: str, values: Sequence[str]) -> str:
        """Return the last address, from the right, that a trusted proxy told; what stands left of it anyone may have
        written.
        """
        told = ",".join(values).split(",") if values else []
        while told:
            address = address_of(told.pop())
            if address is None:
                return host
            host = str(address)
            if not self._trusts(address):
                return host
        return host

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.trusted)


def address_of(text: str) -> Address | None:
    """Return the address, which may have a port behind it, or None where there is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def client_name(host: str) -> str:
    """Return the address as it is counted: IPv6 by its network of 64 bits."""
    address = address_of(host)
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        return str(ip_network((address, PREFIX), strict=False))
    return str(address)
