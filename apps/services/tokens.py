"""The form of a token: `tg_live_` and what apps.core.bearer puts after it."""

from apps.core.bearer import SUFFIX, bearer_digest, bearer_generate, bearer_is_well_formed

PREFIX = "tg_live_"
LENGTH = len(PREFIX) + SUFFIX

token_digest = bearer_digest


def token_generate() -> str:
    """A new token in the clear. Nothing but its digest may be stored."""
    return bearer_generate(PREFIX)


def token_is_well_formed(plaintext: str) -> bool:
    """Whether the form and the checksum are right: False means a typing error or another system's key."""
    return bearer_is_well_formed(plaintext, PREFIX)


def masked(hint: str) -> str:
    """How a token is shown after its one reveal."""
    return f"{PREFIX}…{hint}"
