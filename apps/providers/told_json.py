"""Reading the JSON that providers tell. Pure.

Some cut their texts between the two halves of a character that UTF-16 writes in two, and tell each half as an escape of its own,
which no strict reader takes: such a half is read as the character that stands for what could not be read.
"""

import re
from typing import Any

import orjson

# Escapes from left to right: whole pairs and anything else are passed over; the first group is a half without its other.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(data: bytes) -> Any:
    """What the JSON says. Raises orjson.JSONDecodeError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        whole = mended(data)
        if whole is data:
            raise
        return orjson.loads(whole)


def mended(data: bytes) -> bytes:
    """The same without halves of characters; the same object if there are none."""
    if not _HALF.search(data):
        return data
    whole = _ESCAPES.sub(lambda found: rb"\ufffd" if found.group(1) else found.group(), data)
    return data if whole == data else whole
