"""The address of a client, behind trusted proxies only."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

UNKNOWN = "(unknown)"
# One household or machine has a whole network of IPv6 addresses, and counts as one client.
IPV6_PREFIX = 64
CACHE_SIZE = 4096
Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


class ClientIdentifier:
    """Identifies clients by address.

    X-Forwarded-For counts only from proxies in the networks `trusted`.
    """

    def __init__(self, trusted: Networks = ()) -> None:
        self.trusted = tuple(trusted)
        self.name = lru_cache(CACHE_SIZE)(client_name)

    def identify(self, host: str, forwarded_for: Callable[[], Sequence[str]]) -> str:
        """Return the client behind a connection from `host`: an IPv4 address, or an IPv6 network.

        `forwarded_for` returns the X-Forwarded-For headers; it is called only for trusted proxies.
        """
        if self.trusted and self._is_trusted(parse_address(host)):
            host = self._forwarded_client(host, forwarded_for())
        return self.name(host)

    def _forwarded_client(self, host: str, headers: Sequence[str]) -> str:
        """Return the right-most address that is no trusted proxy's.

        Anybody may have written the part to its left.
        """
        addresses = ",".join(headers).split(",") if headers else []
        while addresses:
            address = parse_address(addresses.pop())
            if address is None:
                return host
            host = str(address)
            if not self._is_trusted(address):
                return host
        return host

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.trusted)


def parse_address(text: str) -> Address | None:
    """Return the address in `text`, with or without a port; None if there is none."""
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
    """Return the name under which an address is counted: IPv6 by its network of 64 bits."""
    address = parse_address(host)
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
