"""Signatures as Gemini's clients keep them: its field is base64, and official clients refuse anything else. Pure."""

import base64

from apps.providers.translation.signatures import carried, opened

NAME = "gemini"

_OURS = base64.b64encode(
    b"tollgate."
).decode()  # whole groups of three bytes, so that it begins whatever begins with it
MARKED = _OURS[:-1]  # how all that is not Gemini's own begins
_HIDDEN = base64.b64encode(b"tollgate!").decode()  # the same, of thoughts that there is no text of


def shown(signature: str, origin: str, *, redacted: bool = False) -> str:
    """What a client is given to keep; Gemini's own as they are. Empty if there is none."""
    if not signature or (origin == NAME and _is_base64(signature)):
        return signature
    mark = "tollgate!" if redacted and origin != NAME else ""
    return base64.b64encode((mark + carried(signature, origin, "")).encode()).decode()


def read(kept: str) -> tuple[str, str, bool]:
    """Signature, origin, and whether there is no text of it, of what a client has given back."""
    if not kept.startswith((_OURS, _HIDDEN)):  # the same letters in both of base64's alphabets
        return kept, NAME if kept else "", False
    try:
        text = base64.b64decode(_standard(kept)).decode()
    except ValueError:
        return "", "", False
    redacted = text.startswith("tollgate!")
    signature, origin = opened(text.removeprefix("tollgate!"), NAME)
    return signature, origin, redacted


def _standard(text: str) -> str:
    """Padded, and in the alphabet that is not for URLs: google-genai writes that one."""
    return text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)


def _is_base64(text: str) -> bool:
    """Whether strict readers take it as it is: they refuse what lacks its padding, or has bits that mean nothing."""
    try:
        return base64.b64encode(base64.b64decode(text)).decode() == text
    except ValueError:
        return False
