"""Whose address a request is recorded under: what trusted proxies say, and nothing that a client says of itself."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.clients import client_address, forwarded_scheme

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not through a proxy of ours: its claim is nothing
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the left one the client wrote itself
        ("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),  # two proxies of ours
        ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),  # a client inside
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("fd00::1", "[2001:db8::7]", "2001:db8::7"),
        ("fd00::1", "2001:DB8:0::7", "2001:db8::7"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),  # nothing vouches for what stands before it
        ("10.0.0.1", " , ", "10.0.0.1"),
        (None, "", None),  # a Unix socket
        (None, "203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),  # IPv4 that came in by an IPv6 socket
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        ("10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_the_address_is_the_one_a_trusted_proxy_vouches_for(
    peer: str | None, forwarded_for: str, address: str | None
) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == address


@given(st.sampled_from(["203.0.113.7", "2001:db8::7"]), st.text())
def test_without_a_trusted_proxy_no_header_changes_the_address(peer: str, claimed: str) -> None:
    assert client_address(peer, claimed, TRUSTED) == client_address(peer, claimed, ()) == peer


@given(st.text())
def test_what_a_client_writes_never_moves_the_address_its_proxy_appended(claimed: str) -> None:
    assert client_address("10.0.0.1", f"{claimed}, 203.0.113.7", TRUSTED) == "203.0.113.7"


@given(st.none() | st.text(), st.text())
def test_no_header_is_an_error(peer: str | None, claimed: str) -> None:
    client_address(peer, claimed, TRUSTED)


def test_a_socket_of_our_own_is_believed_only_where_proxies_are_expected() -> None:
    assert client_address(None, "203.0.113.7", ()) is None


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", " HTTP ", "http"),
        ("10.0.0.1", "gopher", None),
        ("10.0.0.1", "", None),
        ("203.0.113.7", "https", None),
        (None, "https", "https"),
    ],
)
def test_the_scheme_is_a_trusted_proxys_to_say(peer: str | None, said: str, scheme: str | None) -> None:
    assert forwarded_scheme(peer, said, TRUSTED) == scheme
