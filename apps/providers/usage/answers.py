"""Reading usage out of a whole answer's bytes, at no more cost than it takes: nothing else of the answer is built."""

from typing import Any

import msgspec

from apps.providers.told_json import mended
from apps.providers.usage.anthropic import anthropic_usage
from apps.providers.usage.buckets import Usage, count, tier_name
from apps.providers.usage.cohere import cohere_usage
from apps.providers.usage.openai import images_usage, openai_searches, openai_usage


class Answer(msgspec.Struct, frozen=True):
    """What a whole answer tells of itself. `model`: as the provider names it, "" if it does not; `tier` as in Usage."""

    usage: Usage | None = None
    model: str = ""
    tier: str = ""


_ABSENT = msgspec.Raw(b"")


class _Head(msgspec.Struct):
    usage: Any = None
    model: Any = None
    service_tier: Any = None
    tool_usage: Any = None
    output: msgspec.Raw = _ABSENT


_decode = msgspec.json.Decoder(_Head).decode
_decode_any = msgspec.json.Decoder().decode


def read_answer(body: bytes) -> Answer:
    """Usage, model and tier of an answer of chat, Responses or embeddings. What cannot be read tells nothing."""
    try:
        head = _decode(body)
        searches = None
        if head.output != _ABSENT:  # Responses
            items = _decode_any(head.output) if b'"web_search_call"' in body else None
            searches = openai_searches({"tool_usage": head.tool_usage, "output": items})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = mended(body)
        return Answer() if whole is body else read_answer(whole)
    tier = tier_name(head.service_tier)
    return Answer(
        usage=openai_usage(head.usage, tier=tier, searches=searches) if isinstance(head.usage, dict) else None,
        model=head.model if isinstance(head.model, str) else "",
        tier=tier,
    )


class _Message(msgspec.Struct):
    usage: Any = None
    model: Any = None


_decode_message = msgspec.json.Decoder(_Message).decode


def read_message(body: bytes) -> Answer:
    """Usage and model of an answer of Anthropic's Messages. What cannot be read tells nothing."""
    try:
        message = _decode_message(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = mended(body)
        return Answer() if whole is body else read_message(whole)
    return Answer(
        usage=anthropic_usage(message.usage) if isinstance(message.usage, dict) else None,
        model=message.model if isinstance(message.model, str) else "",
    )


class _Ranking(msgspec.Struct):
    meta: Any = None
    usage: Any = None
    model: Any = None


_decode_ranking = msgspec.json.Decoder(_Ranking).decode


def read_rerank(body: bytes) -> Answer:
    """Usage and model of an answer that puts documents in an order. What cannot be read tells nothing."""
    try:
        ranking = _decode_ranking(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer()
    usage = cohere_usage(ranking.meta) if isinstance(ranking.meta, dict) else None
    if usage is None and isinstance(ranking.usage, dict):
        usage = openai_usage(ranking.usage)
        if usage is None and (total := count(ranking.usage.get("total_tokens"))) is not None:
            usage = Usage(input=total)  # Jina, Voyage and vLLM tell no more
    return Answer(usage=usage, model=ranking.model if isinstance(ranking.model, str) else "")


class _Images(msgspec.Struct):
    data: msgspec.Raw = _ABSENT
    usage: Any = None
    model: Any = None
    service_tier: Any = None


_decode_images = msgspec.json.Decoder(_Images).decode
_decode_each = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_images(body: bytes) -> Answer:
    """Usage and model of an answer of pictures. What cannot be read tells nothing."""
    try:
        answer = _decode_images(body)
        pictures = _decode_each(answer.data) if bytes(memoryview(answer.data)[:64]).lstrip()[:1] == b"[" else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Answer()
    tier = tier_name(answer.service_tier)
    told = {"data": pictures, "usage": answer.usage, "service_tier": answer.service_tier}
    return Answer(usage=images_usage(told), model=answer.model if isinstance(answer.model, str) else "", tier=tier)
