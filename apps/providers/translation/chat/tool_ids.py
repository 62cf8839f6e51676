"""Ids of tool calls that not every provider would take. Pure."""

from apps.providers.translation.chat.providers import Habits
from apps.providers.translation.tool_ids import digest

_TAKEN_MAX = 40  # characters that OpenAI takes


def taken_id(call_id: str, habits: Habits) -> str:
    """An id that the provider takes: the same for a call and its result, in this request and in the next."""
    if habits.tool_id is not None:
        return call_id if habits.tool_id.fullmatch(call_id) else digest(call_id, 9)
    return call_id if len(call_id) <= _TAKEN_MAX else f"call_{digest(call_id, 24)}"
