"""Reading usage out of a whole answer's bytes, at no more cost than it takes: nothing else of the answer is built."""

from typing import Any

import msgspec

from apps.providers.usage.buckets import Usage, tier_name
from apps.providers.usage.openai import openai_searches, openai_usage


class Answer(msgspec.Struct, frozen=True):
    """What a whole answer tells of itself. `model`: as the provider names it, "" if it does not; `tier` as in Usage."""

    usage: Usage | None = None
    model: str = ""
    tier: str = ""


class _Head(msgspec.Struct):
    usage: Any = None
    model: Any = None
    service_tier: Any = None
    tool_usage: Any = None


class _Searched(msgspec.Struct):
    output: Any = None
    tool_usage: Any = None


_decode = msgspec.json.Decoder(_Head).decode
_decode_searched = msgspec.json.Decoder(_Searched).decode


def read_answer(body: bytes) -> Answer:
    """Usage, model and tier of an answer of chat, Responses or embeddings. What cannot be read tells nothing."""
    try:
        head = _decode(body)
        searches = None
        if head.tool_usage is not None or b'"web_search_call"' in body:
            searches = openai_searches(msgspec.structs.asdict(_decode_searched(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer()
    tier = tier_name(head.service_tier)
    return Answer(
        usage=openai_usage(head.usage, tier=tier, searches=searches) if isinstance(head.usage, dict) else None,
        model=head.model if isinstance(head.model, str) else "",
        tier=tier,
    )
