"""Ids of tool calls: those that providers leave out, and those that others would not take. Pure."""

import hashlib

from apps.providers.translation.chat.providers import Habits

_TAKEN_MAX = 40  # characters that OpenAI takes
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def invented_id(answer: str, choice: int, place: int) -> str:
    """The id of a call that has none: the same whenever the same answer is read, and no other call's. `answer`: its id."""
    return f"call_{_digest(f'{answer} {choice} {place}', 24)}"


def taken_id(call_id: str, habits: Habits) -> str:
    """An id that the provider takes: the same for a call and its result, in this request and in the next."""
    if habits.tool_id is not None:
        return call_id if habits.tool_id.fullmatch(call_id) else _digest(call_id, 9)
    return call_id if len(call_id) <= _TAKEN_MAX else f"call_{_digest(call_id, 24)}"


def _digest(text: str, length: int) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)
