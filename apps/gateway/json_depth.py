"""How deeply a JSON text is nested, found without building it and at the speed of bytes' own methods."""

import re

# Possessive, and content with the text's end for its own: read once, however it is written, it never costs its length squared.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")

# Counting depth costs a pass over the brackets for each level; no request that means well has as many.
_BRACKETS_MAX = 500_000


def is_deeper_than(body: bytes, limit: int) -> bool:
    """Whether arrays and objects of this JSON text are nested more than `limit` deep, or are too many to tell."""
    # As many opening brackets as that, strings' own included, cannot be deeper than that: nearly every body ends here.
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND, _NOT_BRACKETS)
    if len(brackets) > _BRACKETS_MAX:
        return True
    # Each round removes the innermost level of everything, so what is left after `limit` rounds was deeper.
    for _ in range(limit):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
