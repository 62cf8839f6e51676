"""Why a provider would not answer, where another might: what was asked, or would be said, is barred there; or it is too long. Pure.

Each provider has its own words, and few have a code for both.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import orjson

type Reason = Literal["content_filter", "context_length", ""]

# Statuses that such refusals come with; 403 is a moderation's as well as a key's.
_STATUSES = frozenset({400, 403, 413, 422})
_CODES: Mapping[str, Reason] = {
    "content_filter": "content_filter",  # Azure OpenAI, Moonshot
    "content_policy_violation": "content_filter",  # OpenAI, of pictures
    "moderation_blocked": "content_filter",
    "invalid_prompt": "content_filter",  # OpenAI's reasoning models
    "ResponsibleAIPolicyViolation": "content_filter",
    "context_length_exceeded": "context_length",  # OpenAI, Azure OpenAI, Groq, Cerebras
    "exceed_context_size_error": "context_length",  # llama.cpp
    "model_max_prompt_tokens_exceeded": "context_length",
}
_TOO_LONG = re.compile(
    rb"prompt is too long"  # Anthropic, Fireworks
    rb"|exceeds? (?:the )?context (?:limit|window)"  # Anthropic: input length and max_tokens
    rb"|maximum context length"  # OpenAI's older models, DeepSeek, OpenRouter, vLLM
    rb"|input token count .{0,40}exceeds the maximum number of tokens"  # Gemini
    rb"|too large for model with [\d,]+ maximum context"  # Mistral
    rb"|too many tokens: total number of tokens in the prompt"  # Cohere
    rb"|maximum prompt length is"  # xAI
    rb"|tokens? \+ .{0,20}max_new_tokens.{0,20} must be <="  # Together
    rb"|exceeded model token limit"  # Moonshot
    rb"|exceeds? the available context size",  # llama.cpp
    re.IGNORECASE,
)
_BARRED = re.compile(
    rb"output blocked by content filtering policy"  # Anthropic
    rb"|content management policy"  # Azure OpenAI
    rb"|Content Exists Risk"  # DeepSeek
    rb"|considered high risk"  # Moonshot
    rb'|"flagged_input"',  # OpenRouter
    re.IGNORECASE,
)
_LOOKED_AT = 16 * 1024  # bytes of a refusal


def refusal_reason(status: int, code: str, body: bytes) -> Reason:
    """Why a provider refused with this status. `code`: as it calls the error, if it does."""
    if status not in _STATUSES:
        return ""
    known = _CODES.get(code, "")
    if known and status != 403:
        return known
    head = body[:_LOOKED_AT]
    if _BARRED.search(head) is not None:
        return "content_filter"
    return "context_length" if status != 403 and _TOO_LONG.search(head) is not None else ""


# --- Answers that are refusals, with status 200 ---

_GEMINI_BARRED = frozenset(
    {"SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"}
)
# What such an answer holds somewhere: all others are not looked into.
_MARKS = re.compile(
    rb'"content_filter"|"refusal"|"blockReason"|"finishReason"\s*:\s*"(?:'
    + b"|".join(name.encode() for name in sorted(_GEMINI_BARRED))
    + rb')"'
)
_DATA = re.compile(rb"^data: ?(.*)$", re.MULTILINE)


def answer_reason(dialect: str, body: bytes) -> Reason:
    """Why an answer of 200 says nothing; empty where it says something, be it in part."""
    if _MARKS.search(body) is None:
        return ""
    return "content_filter" if _is_barred(dialect, _read(body)) else ""


def stream_reason(dialect: str, beginning: bytes) -> Reason:
    """The same of a stream, from the events that it begins with."""
    if _MARKS.search(beginning) is None:
        return ""
    events = [_read(data) for data in _DATA.findall(beginning) if data.strip() != b"[DONE]"]
    found = [_is_barred(dialect, event) or _OPENS.get(dialect, _says)(event) for event in events]
    return "content_filter" if True in found and False not in found else ""


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_barred(dialect: str, answer: Mapping[str, Any]) -> bool:
    look = _LOOKS.get(dialect)
    try:
        return look is not None and look(answer)
    except (AttributeError, TypeError):  # of some other shape
        return False


def _openai(answer: Mapping[str, Any]) -> bool:
    if (choices := answer.get("choices")) is not None:
        return bool(choices) and all(
            choice.get("finish_reason") == "content_filter" and not _said(choice.get("message") or choice.get("delta"))
            for choice in choices
        )
    details = answer.get("incomplete_details") or {}
    return details.get("reason") == "content_filter" and not any(
        item.get("type") != "reasoning" and item.get("content") for item in answer.get("output") or ()
    )


def _said(message: object) -> bool:
    return isinstance(message, dict) and bool(message.get("content") or message.get("tool_calls"))


def _anthropic(answer: Mapping[str, Any]) -> bool:
    return answer.get("stop_reason") == "refusal" and not answer.get("content")


def _gemini(answer: Mapping[str, Any]) -> bool:
    candidates = answer.get("candidates")
    if not candidates:
        return bool((answer.get("promptFeedback") or {}).get("blockReason"))
    return all(
        candidate.get("finishReason") in _GEMINI_BARRED and not (candidate.get("content") or {}).get("parts")
        for candidate in candidates
    )


# Events that may come before: they say nothing, nor that anything is barred. None: so it is; False: it says something.
_ANTHROPIC_OPENINGS = frozenset({"message_start", "message_stop", "ping"})
_RESPONSES_OPENINGS = frozenset({"response.created", "response.in_progress", "response.queued"})


def _says(_event: Mapping[str, Any]) -> bool | None:
    return False


def _openai_opens(event: Mapping[str, Any]) -> bool | None:
    if event.get("type") in _RESPONSES_OPENINGS:
        return None
    if event.get("type") == "response.incomplete":
        return _is_barred("openai", event.get("response") or {})
    choices = event.get("choices")
    if not isinstance(choices, list):
        return False
    is_silent = all(
        isinstance(choice, dict) and not choice.get("finish_reason") and not _said(choice.get("delta"))
        for choice in choices
    )
    return None if is_silent else False


def _anthropic_opens(event: Mapping[str, Any]) -> bool | None:
    if event.get("type") in _ANTHROPIC_OPENINGS:
        return None
    delta = event.get("delta")
    return event.get("type") == "message_delta" and isinstance(delta, dict) and delta.get("stop_reason") == "refusal"


_OPENS: Mapping[str, Callable[[Mapping[str, Any]], bool | None]] = {
    "openai": _openai_opens,
    "anthropic": _anthropic_opens,
}
_LOOKS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
