"""How deeply a JSON text is nested, found without building it and at the speed of bytes' own methods."""

from itertools import accumulate

_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NOT_MARKS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_STEP = {ord("["): 1, ord("]"): -1}

# What is looked at one by one; no request that means well has as many brackets outside its strings, nor as many strings with some.
_BRACKETS_MAX = 500_000


def is_deeper_than(body: bytes, limit: int) -> bool:
    """Whether arrays and objects of this JSON text are nested more than `limit` deep, or are too many to tell.

    Takes time in proportion to the body, whatever it holds.
    """
    # As many opening brackets as that, strings' own included, cannot be deeper than that: nearly every body ends here.
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    # Without escapes, every quote begins or ends a string. Two in a row are nothing, or join one string to the next: taking them
    # away leaves inside what was inside, and few strings to part from the rest.
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = plain.translate(_ONE_KIND, _NOT_MARKS).replace(b'""', b"")
    if marks.count(b'"') > 2 * _BRACKETS_MAX:
        return True
    brackets = b"".join(marks.split(b'"')[::2])
    if len(brackets) > _BRACKETS_MAX:
        return True
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit
