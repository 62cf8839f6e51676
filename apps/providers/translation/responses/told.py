"""What a provider tells in a response, read so that nothing it may send is an error of ours. Pure."""

from collections.abc import Mapping
from typing import Any

from apps.providers.translation.form import Failed, Finish, Image, Json
from apps.providers.translation.told import MESSAGE_MAX, dicts, text_of
from apps.providers.translation.tool_ids import invented_id
from apps.providers.usage import Usage, openai_searches, openai_usage, tier_name

_NO_REASON = "The provider gave no reason for its failure."
# HTTP's status of what fails after it was accepted, by its code.
_STATUSES = {
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "vector_store_timeout": 504,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
}


def thoughts_of(item: Json) -> str:
    """The text of a reasoning item: its summary, or where there is none what was thought."""
    pieces = dicts(item.get("summary")) or dicts(item.get("content"))
    return "\n\n".join(text_of(piece.get("text")) for piece in pieces)


def image_of(item: Json) -> Image | None:
    """The picture of an image_generation_call, if it has been made."""
    data, form = text_of(item.get("result")), text_of(item.get("output_format"))
    return Image(data=data, media_type=f"image/{form or 'png'}") if data else None


def call_id(item: Json, answer: str, number: int) -> str:
    """The id that the call's result will name. `answer`: the response's; `number`: of the call."""
    return text_of(item.get("call_id")) or text_of(item.get("id")) or invented_id(answer, 0, number)


def finish_of(data: Json, *, calls: bool) -> Finish:
    """Why a response is over."""
    if data.get("status") != "incomplete":
        return "tool_calls" if calls else "stop"
    details = data.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return "content_filter" if reason == "content_filter" else "length"


def usage_of(data: Mapping[str, Any]) -> Usage | None:
    """The usage of a response, with what it says of its tier and of searches."""
    raw = data.get("usage")
    if not isinstance(raw, dict):
        return None
    return openai_usage(raw, tier=tier_name(data.get("service_tier")), searches=openai_searches(data))


def failure(error: object) -> Failed:
    """The `error` of a response, or of an event."""
    if isinstance(error, str):
        return Failed(message=error[:MESSAGE_MAX])
    if not isinstance(error, dict):
        return Failed(message=_NO_REASON)
    number = error.get("code")  # of some servers, HTTP's status
    code = text_of(number)
    return Failed(
        message=text_of(error.get("message"))[:MESSAGE_MAX] or code or _NO_REASON,
        type=text_of(error.get("type")),
        code=code,
        param=text_of(error.get("param")),
        status=number if type(number) is int and 400 <= number <= 599 else _STATUSES.get(code, 0),
    )
