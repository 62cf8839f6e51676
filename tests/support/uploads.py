"""Forms that reached a provider, read by Python's own reader of messages, which knows nothing of ours."""

import email.parser
import email.policy
from typing import Any

from tests.support.provider import Received


def parts_of(request: Received) -> list[tuple[str, str | None, str | None, bytes]]:
    """Name, filename, content type and content of each part, in order."""
    raw = b"Content-Type: " + (request.header("content-type") or "").encode() + b"\r\n\r\n" + request.body
    message: Any = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(raw)
    return [
        (
            item.get_param("name", header="content-disposition"),
            item.get_filename(),
            item.get("content-type"),
            item.get_payload(decode=True),
        )
        for item in message.iter_parts()
    ]


def fields_of(request: Received) -> dict[str, list[str]]:
    """The values of its fields by name."""
    found: dict[str, list[str]] = {}
    for name, filename, _, content in parts_of(request):
        if filename is None:
            found.setdefault(name, []).append(content.decode())
    return found
