"""Signatures in the client's hands: a reasoning item's `encrypted_content` is where this dialect keeps what it does not read. Pure.

Those of another origin are marked with what they sign: thoughts, thoughts without text, or a call of a tool, which has no place
for a signature in this dialect and gets a reasoning item before it.
"""

import msgspec

from apps.providers.translation.responses.names import NAME
from apps.providers.translation.signatures import carried, opened

_REDACTED = "redacted:"
_CALL = "call:"
_SIZE_DIGITS = 10


class Kept(msgspec.Struct):
    """What a client has given back. `call`: the id of the call that the signature is for; empty: it is for thoughts."""

    signature: str
    origin: str
    redacted: bool = False
    call: str = ""


def keep_thoughts(signature: str, origin: str, *, redacted: bool) -> str:
    """The `encrypted_content` of thoughts; empty if they are not signed."""
    if signature and redacted and origin != NAME:
        signature = _REDACTED + signature
    return carried(signature, origin, NAME)


def keep_call(call: str, signature: str, origin: str) -> str:
    """The `encrypted_content` of an item that holds nothing but the signature of the call with this id; empty: there is none."""
    return carried(f"{_CALL}{len(call)}:{call}{signature}", origin, NAME) if signature and origin != NAME else ""


def open_content(content: str) -> Kept:
    """What the `encrypted_content` of a reasoning item holds."""
    signature, origin = opened(content, NAME)
    if origin != NAME:
        if signature.startswith(_REDACTED):
            return Kept(signature.removeprefix(_REDACTED), origin, redacted=True)
        if signature.startswith(_CALL):
            size, _, rest = signature.removeprefix(_CALL).partition(":")
            end = int(size) if size.isdecimal() and len(size) < _SIZE_DIGITS else 0
            return Kept(rest[end:], origin, call=rest[:end])
    return Kept(signature, origin)
