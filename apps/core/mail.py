"""From a URL to a mail server: what EMAIL_URL says."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

# Scheme → how the conversation is encrypted, and the port it is usually held on.
_SCHEMES: dict[str, tuple[Literal["none", "starttls", "tls"], int]] = {
    "smtp": ("none", 25),
    "smtp+tls": ("starttls", 587),
    "smtps": ("tls", 465),
}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. Without a user name, nobody signs in there."""

    host: str
    port: int
    user: str
    password: str
    encryption: Literal["none", "starttls", "tls"]


def mail_server(raw: str) -> MailServer | None:
    """a mail server such as smtp+tls://user:password@mail.example.org:587 (or smtps://, or smtp:// without encryption)."""
    if not raw:
        return None
    parts = urlsplit(raw)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError
    encryption, port = _SCHEMES[parts.scheme]
    return MailServer(
        host=parts.hostname,
        port=parts.port or port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        encryption=encryption,
    )
