"""The form of the keys that we issue: a prefix, 43 base-62 characters of randomness (256 bits), and a checksum of 6.

The checksum (CRC-32 of what precedes it) lets secret scanners, and us, tell a typing error from an unknown key without a look-up.
"""

import hashlib
import secrets
import zlib
from string import ascii_letters, digits

_ALPHABET = digits + ascii_letters
_RANDOM, _CHECK = 43, 6
SUFFIX = _RANDOM + _CHECK  # characters after the prefix


def bearer_generate(prefix: str) -> str:
    """A new key in the clear. Nothing but its digest may be stored."""
    body = prefix + _base62(secrets.randbits(256), _RANDOM)
    return body + _checksum(body)


def bearer_is_well_formed(plaintext: str, prefix: str) -> bool:
    """Whether the form and the checksum are right: False means a typing error or another system's key."""
    if len(plaintext) != len(prefix) + SUFFIX or not plaintext.startswith(prefix) or not plaintext.isascii():
        return False
    return plaintext[-_CHECK:] == _checksum(plaintext[:-_CHECK])


def bearer_digest(plaintext: str) -> bytes:
    """SHA-256, of keys and of links' secrets: 256 random bits need neither salt nor stretching, and a look-up needs one value."""
    return hashlib.sha256(plaintext.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    out = []
    for _ in range(width):
        number, rest = divmod(number, 62)
        out.append(_ALPHABET[rest])
    return "".join(reversed(out))
