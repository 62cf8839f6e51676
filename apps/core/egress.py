"""Where Tollgate may connect to. A URL that an operator may set must not open the private network.

Rule: https to public addresses; plain http, and private addresses, only inside the ranges of EGRESS_ALLOW. The URL is checked when
it is saved; the address is checked again at every connection, on what is actually dialled, so that a name that changes its mind
(DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# All of IPv6 that is public. `is_global` knows what is reserved inside it, and takes some of the rest for public too, such as
# ::127.0.0.1 and fec0::1.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class EgressRefused(Exception):
    """The URL is outside what the installation allows. The message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Egress:
    """The installation's rule. `allowed`: EGRESS_ALLOW."""

    allowed: tuple[Network, ...] = ()

    def address_is_allowed(self, address: str, *, encrypted: bool) -> bool:
        """Whether a connection to this literal address may be made, `encrypted` meaning https."""
        try:
            parsed = _inner(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(parsed in network for network in self.allowed):
            return True
        return encrypted and _is_public(parsed)

    def dialled(self, addresses: Iterable[str], *, encrypted: bool) -> list[str]:
        """Those of a name's addresses that may be connected to, once each, in their order."""
        return [each for each in dict.fromkeys(addresses) if self.address_is_allowed(each, encrypted=encrypted)]

    def check_url(self, url: str) -> None:
        """Raises EgressRefused unless `url` could be called. A host name is resolved if that works now."""
        self._check(url, with_query=True)

    def check_base_url(self, url: str) -> None:
        """The same for a URL that paths are appended to, which has no query."""
        self._check(url, with_query=False)

    def _check(self, url: str, *, with_query: bool) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise EgressRefused(_("The URL cannot be read: write it as https://host/path.")) from None
        host = parts.hostname
        if parts.scheme not in {"https", "http"} or not host or port == 0:
            raise EgressRefused(_("The URL must be of the form https://host/path."))
        if parts.username is not None or parts.password is not None:
            raise EgressRefused(
                _("The URL must not hold a user name or password: leave them out.")
                if with_query
                else _("The URL must not hold a user name or password: the secret has its own field.")
            )
        if parts.fragment or (parts.query and not with_query):
            raise EgressRefused(
                _("The URL must not have a fragment.")
                if with_query
                else _("The URL must not have a query or fragment: paths are appended to it.")
            )
        encrypted = parts.scheme == "https"
        refused = [found for found in _resolve(host) if not self.address_is_allowed(found, encrypted=encrypted)]
        if refused:
            why = (
                _("%(address)s is not a public address; add its range to EGRESS_ALLOW to allow it.")
                if encrypted
                else _("%(address)s may be called over https only; add its range to EGRESS_ALLOW to allow it.")
            )
            raise EgressRefused(why % {"address": refused[0]})
        if not encrypted and not self.allowed:
            raise EgressRefused(_("The URL must begin with https:// (plain http only for ranges in EGRESS_ALLOW)."))


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_V6:
        return False
    return address.is_global and not address.is_multicast


def _resolve(host: str) -> Iterable[str]:
    """The addresses behind `host`; none if it does not resolve now, since the connection will ask again."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), since that is where the packets go."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
