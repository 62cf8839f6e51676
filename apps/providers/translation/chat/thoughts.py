"""Thoughts and their signatures, as chat's answers and messages carry them. Pure.

OpenAI's own chat has none of these. `reasoning_content` is what most others call the text; OpenRouter adds `reasoning_details`, and
Gemini's endpoint in OpenAI's form puts what proves a tool call in its `extra_content`. Clients that send messages back whole return
them all. A detail's signature is kept as the JSON of all that it has beside its text, so that it can be given back as it came.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from apps.providers.translation.form import Json, Thinking, ToolCall
from apps.providers.translation.signatures import carried, opened

NAME = "openai"  # the dialect's, as signatures' origins are called

_TEXT, _SUMMARY, _ENCRYPTED = "reasoning.text", "reasoning.summary", "reasoning.encrypted"
# Whose thoughts they are, in OpenRouter's words.
_FORMATS = {"anthropic": "anthropic-claude-v1", "gemini": "google-gemini-v1", "openai_responses": "openai-responses-v1"}


def read_thoughts(said: Any) -> list[Thinking]:
    """The thoughts of a message, as far as they are of a form that is known."""
    text = _text_of(said)
    thoughts: list[Thinking] = []
    place = None  # of the thought that is still without its signature
    for detail in _details(said):
        thought = read_detail(detail)
        if thought is None:
            continue
        its_place = detail.get("index")
        if thoughts and place is not None and place == its_place and not thought.redacted:
            thought.text = thoughts.pop().text + thought.text  # clients that append a stream's pieces keep them apart
        thoughts.append(thought)
        place = None if thought.signature else its_place
    if text and not any(thought.text for thought in thoughts):
        if len(thoughts) == 1 and not thoughts[0].redacted:  # the signature came after the text, as in streams
            thoughts[0].text = text
        else:
            thoughts.insert(0, Thinking(text=text))
    return thoughts


def read_detail(detail: Any) -> Thinking | None:
    """One of `reasoning_details`; None if it says nothing."""
    if not isinstance(detail, dict):
        return None
    kind = detail.get("type")
    if kind == _ENCRYPTED:
        signature, origin = _signature(detail, "data")
        return Thinking(signature=signature, origin=origin, redacted=True) if signature else None
    text = detail.get("text" if kind != _SUMMARY else "summary")
    text = text if isinstance(text, str) else ""
    signature, origin = _signature(detail, "signature")
    return Thinking(text=text, signature=signature, origin=origin) if text or signature else None


def detail_of(thought: Thinking, place: int) -> Json:
    """A signed thought as one of `reasoning_details`. `place`: its number among those of the answer."""
    if thought.origin == NAME:
        detail = _as_it_came(thought)
    else:
        signature = carried(thought.signature, thought.origin, NAME)
        shape: Json = {"type": _ENCRYPTED, "data": signature} if thought.redacted else {"type": _TEXT}
        if not thought.redacted:
            shape |= {"text": thought.text, "signature": signature}
        detail = shape | {"format": _FORMATS.get(thought.origin, "unknown")}
    return {"index": place, **detail}


def details_of(thoughts: Iterable[Thinking]) -> list[Json]:
    """The signed ones among thoughts as `reasoning_details`."""
    return [detail_of(thought, place) for place, thought in enumerate(t for t in thoughts if t.signature)]


def read_call_signature(call: Any) -> tuple[str, str]:
    """What proves a tool call, and its origin; empty if nothing does."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    kept = google.get("thought_signature") if isinstance(google, dict) else None
    return opened(kept, NAME) if isinstance(kept, str) else ("", "")


def call_extra(call: ToolCall) -> Json:
    """The field that carries a call's signature; empty if it has none."""
    if not call.signature:
        return {}
    kept = carried(call.signature, call.origin, NAME)
    return {"extra_content": {"google": {"thought_signature": kept}}}


def _text_of(said: Any) -> str:
    for name in ("reasoning_content", "reasoning"):
        text = said.get(name)
        if isinstance(text, str) and text:
            return text
    return ""


def _details(said: Any) -> list[Any]:
    details = said.get("reasoning_details")
    return details if isinstance(details, list) else []


def _signature(detail: Json, name: str) -> tuple[str, str]:
    kept = detail.get(name)
    if not isinstance(kept, str) or not kept:
        return "", ""
    signature, origin = opened(kept, NAME)
    if origin != NAME:
        return signature, origin
    whole = {key: value for key, value in detail.items() if key not in ("text", "summary", "index")}
    return orjson.dumps(whole).decode(), NAME


def _as_it_came(thought: Thinking) -> Json:
    try:
        kept = orjson.loads(thought.signature)
    except orjson.JSONDecodeError:
        kept = None
    if not isinstance(kept, dict):  # not of a detail: nothing is known but the signature itself
        return {"type": _TEXT, "text": thought.text, "signature": thought.signature}
    if thought.redacted:
        return kept
    return {**kept, ("summary" if kept.get("type") == _SUMMARY else "text"): thought.text}
