"""Signatures as Gemini's clients keep them: its field is base64, and official clients refuse anything else. Pure."""

import base64

from apps.providers.translation.signatures import carried, opened

NAME = "gemini"

_OURS = base64.b64encode(
    b"tollgate."
).decode()  # whole groups of three bytes, so that it begins whatever begins with it
_HIDDEN = base64.b64encode(b"tollgate!").decode()  # the same, of thoughts that there is no text of


def shown(signature: str, origin: str, *, redacted: bool = False) -> str:
    """What a client is given to keep; Gemini's own as they are. Empty if there is none."""
    kept = carried(signature, origin, NAME)
    if kept == signature:
        return kept
    if redacted:
        kept = "tollgate!" + kept
    return base64.b64encode(kept.encode()).decode()


def read(kept: str) -> tuple[str, str, bool]:
    """Signature, origin, and whether there is no text of it, of what a client has given back."""
    standard = kept.replace("-", "+").replace("_", "/")  # google-genai writes the other alphabet
    if not standard.startswith((_OURS, _HIDDEN)):
        return kept, NAME if kept else "", False
    try:
        text = base64.b64decode(standard + "=" * (-len(standard) % 4)).decode()
    except ValueError:
        return "", "", False
    redacted = text.startswith("tollgate!")
    signature, origin = opened(text.removeprefix("tollgate!"), NAME)
    return signature, origin, redacted
