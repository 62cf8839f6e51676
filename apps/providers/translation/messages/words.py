"""What this dialect is called, and its words for why an answer ends. Pure."""

from collections.abc import Mapping

from apps.providers.translation.form import Finish

NAME = "anthropic"  # as signatures' origins are called
TITLE = "Anthropic's Messages"

_FINISHES: Mapping[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "pause",
}
_STOPS: Mapping[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "pause": "pause_turn",
}


def finish_of(stop_reason: object) -> Finish:
    """Why an answer ended; an unknown reason is the usual one."""
    return _FINISHES.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def stop_reason(finish: Finish, *, has_calls: bool, stopped_by: str = "") -> str:
    """The same in Anthropic's words. Whoever calls tools has stopped for them, whatever the provider says."""
    if finish in ("", "stop", "error") and has_calls:
        return "tool_use"
    if finish in ("", "stop") and stopped_by:
        return "stop_sequence"
    return _STOPS.get(finish, "end_turn")
