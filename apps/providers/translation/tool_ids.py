"""Ids of tool calls that providers leave out. Pure."""

import hashlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def invented_id(answer: str, choice: int, place: int) -> str:
    """The id of a call that has none: the same whenever the same answer is read, and no other call's. `answer`: its id."""
    return f"call_{digest(f'{answer} {choice} {place}', 24)}"


def digest(text: str, length: int) -> str:
    """Letters and digits, `length` of them, that stand for a text and for no other."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)
