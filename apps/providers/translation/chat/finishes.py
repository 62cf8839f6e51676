"""Why an answer is over, in the words of OpenAI's chat and of those that speak it. Pure."""

from typing import Any

from apps.providers.translation.form import Finish

_READ: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "complete": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",  # Mistral
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",  # Z.ai
    "error": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",  # DeepSeek
}
_WRITTEN: dict[Finish, str] = {"length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}


def read_finish(reason: Any, *, has_calls: bool) -> Finish:
    """A `finish_reason`. Many say stop where tools are called; what nobody knows is a stop."""
    finish: Finish = _READ.get(reason.lower(), "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if has_calls and finish == "stop" else finish


def write_finish(finish: Finish, *, has_calls: bool) -> str:
    """The `finish_reason`: one of the four that every client knows."""
    return _WRITTEN.get(finish, "tool_calls" if has_calls and finish in ("", "stop") else "stop")
