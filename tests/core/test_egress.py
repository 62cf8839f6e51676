"""Where the gateway may connect: public addresses over https, and what the installation allows besides."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.core.egress import Egress, EgressRefused

NOTHING_ALLOWED = Egress()
LOOPBACK = Egress((ip_network("127.0.0.0/8"), ip_network("::1/128")))

KINDS = ("private", "loopback", "link_local", "multicast", "reserved", "unspecified")

# Every way an IPv4 address hides in an IPv6 one that reaches it.
DISGUISES = [
    lambda address: f"::ffff:{address}",  # mapped: the kernel speaks IPv4
    lambda address: f"64:ff9b::{address}",  # NAT64
    lambda address: str(IPv6Address(0x2002 << 112 | int(address) << 80)),  # 6to4
]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",  # the clouds' metadata service
        "100.64.0.1",  # carrier-grade NAT, and another cloud's metadata
        "100.100.100.200",
        "192.0.0.192",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",  # metadata over IPv6
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "fec0::1",
    ],
)
def test_no_inner_address_is_called_however_it_is_written(address: str) -> None:
    assert not NOTHING_ALLOWED.address_is_allowed(address, encrypted=True)
    assert not NOTHING_ALLOWED.address_is_allowed(address, encrypted=False)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "104.18.7.192", "2606:4700::6812:7c0", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_a_public_address_is_called_over_https_only(address: str) -> None:
    assert NOTHING_ALLOWED.address_is_allowed(address, encrypted=True)
    assert not NOTHING_ALLOWED.address_is_allowed(address, encrypted=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_an_allowed_range_is_called_with_and_without_encryption(address: str) -> None:
    assert LOOPBACK.address_is_allowed(address, encrypted=True)
    assert LOOPBACK.address_is_allowed(address, encrypted=False)


@pytest.mark.parametrize("address", ["10.0.0.1", "::2", "fd00::1", "169.254.169.254"])
def test_a_range_allows_itself_alone(address: str) -> None:
    assert not LOOPBACK.address_is_allowed(address, encrypted=True)


@pytest.mark.parametrize("address", ["", "localhost", "8.8.8.8.8", "0x7f000001", "2130706433", "127.1", "٨.8.8.8"])
def test_what_is_no_literal_address_is_refused(address: str) -> None:
    assert not LOOPBACK.address_is_allowed(address, encrypted=True)


@given(st.ip_addresses(v=4), st.sampled_from(DISGUISES), st.booleans())
def test_a_disguise_changes_nothing(address: IPv4Address, disguise: object, encrypted: bool) -> None:
    assert callable(disguise)
    for egress in (NOTHING_ALLOWED, LOOPBACK):
        plain = egress.address_is_allowed(str(address), encrypted=encrypted)
        assert egress.address_is_allowed(disguise(address), encrypted=encrypted) == plain


@given(st.ip_addresses(), st.booleans())
@example(IPv6Address("::ffff:1.0.0.0"), True)
@example(IPv6Address("2002:808:808::"), True)
@example(IPv6Address("2002:a00:1::"), True)
def test_what_is_allowed_is_global_or_in_the_list(address: IPv4Address | IPv6Address, encrypted: bool) -> None:
    if NOTHING_ALLOWED.address_is_allowed(str(address), encrypted=encrypted):
        assert encrypted
        # One that stands for an IPv4 address is judged by that, whatever its own range is called (see the disguises).
        meant = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        wrong = [name for name in KINDS if getattr(meant, f"is_{name}")]
        assert not wrong or str(address).startswith("64:ff9b::")
    everything = Egress((ip_network("0.0.0.0/0"), ip_network("::/0")))
    assert everything.address_is_allowed(str(address), encrypted=encrypted)


@given(st.ip_addresses())
def test_encryption_never_takes_anything_away(address: IPv4Address | IPv6Address) -> None:
    for egress in (NOTHING_ALLOWED, LOOPBACK):
        if egress.address_is_allowed(str(address), encrypted=False):
            assert egress.address_is_allowed(str(address), encrypted=True)


@given(st.text(max_size=40))
def test_no_text_is_an_error(text: str) -> None:
    assert NOTHING_ALLOWED.address_is_allowed(text, encrypted=True) in (True, False)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "of the form https://host/path"),
        ("api.example.com/v1", "of the form"),
        ("ftp://8.8.8.8/v1", "of the form"),
        ("file:///etc/passwd", "of the form"),
        ("https://", "of the form"),
        ("https:///v1", "of the form"),
        ("https://8.8.8.8:0/v1", "of the form"),
        ("https://8.8.8.8:99999/v1", "cannot be read"),
        ("https://8.8.8.8:port/v1", "cannot be read"),
        ("https://[::1/v1", "cannot be read"),
        ("https://user:secret@8.8.8.8/v1", "must not hold a user name or password"),
        ("https://user@8.8.8.8/v1", "must not hold a user name or password"),
        ("https://8.8.8.8/v1?key=1", "query or fragment"),
        ("https://8.8.8.8/v1#top", "query or fragment"),
        ("https://127.0.0.1/v1", "127.0.0.1 is not a public address; add its range to EGRESS_ALLOW"),
        ("https://localhost/v1", "is not a public address"),
        ("https://2130706433/v1", "is not a public address"),  # getaddrinfo knows these spellings of 127.0.0.1
        ("https://0x7f.1/v1", "is not a public address"),
        ("https://[::ffff:7f00:1]/v1", "is not a public address"),
        ("http://8.8.8.8/v1", "may be called over https only"),
        ("http://name.invalid/v1", "must begin with https://"),
    ],
)
def test_a_base_url_that_could_never_be_called_is_refused_with_the_remedy(url: str, sentence: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        NOTHING_ALLOWED.check_base_url(url)
    assert sentence in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://8.8.8.8/v1", "https://[2606:4700::6812:7c0]:8443", "https://name.invalid/v1"])
def test_a_public_base_url_is_taken_and_a_name_may_resolve_later(url: str) -> None:
    NOTHING_ALLOWED.check_base_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://localhost/v1", "https://[::1]/v1"])
def test_a_base_url_in_an_allowed_range_is_taken(url: str) -> None:
    LOOPBACK.check_base_url(url)


@given(st.text(max_size=60) | st.text(max_size=30).map("https://".__add__))
def test_no_base_url_is_an_error_of_another_kind(url: str) -> None:
    with contextlib.suppress(EgressRefused):
        Egress((ip_network("0.0.0.0/0"),)).check_base_url(url)
