"""Who is calling: the client's address, through proxies that the installation trusts and no others."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(peer: str | None, forwarded_for: str, trusted: Sequence[Network]) -> str | None:
    """The address nearest to the client that a trusted proxy vouches for; the peer's own where none does.

    `forwarded_for` is X-Forwarded-For, read from the right: each trusted hop vouches for the entry before its own. What a client
    wrote there itself is thereby never believed. None for a peer without an address (a Unix socket) and nothing forwarded.
    """
    current = _as_ipv4(peer) if peer is not None and peer.startswith("::") else peer
    if current is not None and not forwarded_for:
        return current
    hops = [hop.strip() for hop in forwarded_for.split(",")] if forwarded_for else []
    while hops and _is_trusted(current, trusted):
        try:
            current = _as_ipv4(str(ipaddress.ip_address(hops.pop().strip("[]"))))
        except ValueError:
            break
    return current


def client_network(address: str) -> str:
    """What attempts are counted by: an IPv4 address, or the /64 of an IPv6 one, of which each client has as many as it likes."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(ipaddress.IPv6Network((parsed.packed[:8] + bytes(8), 64)))


def forwarded_scheme(peer: str | None, forwarded_proto: str, trusted: Sequence[Network]) -> str | None:
    """The scheme that the client spoke, if a trusted proxy says so (X-Forwarded-Proto); None otherwise."""
    scheme = forwarded_proto.strip().lower()
    return scheme if scheme in {"http", "https"} and _is_trusted(peer and _as_ipv4(peer), trusted) else None


def _as_ipv4(address: str) -> str:
    """An IPv4 client as such, though it came in by a socket that speaks both (HOST=::) and shows it as ::ffff:a.b.c.d."""
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)


def _is_trusted(address: str | None, trusted: Sequence[Network]) -> bool:
    if address is None:
        return bool(trusted)  # a Unix socket: whoever reaches it was let in by file permissions
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)
