"""Usage in OpenAI's words, as OpenAI and the many providers that speak its dialect say it.

Facts: OpenAI's API reference and SDK, and the references of Azure OpenAI, DeepSeek, Moonshot, Mistral, Groq, xAI, OpenRouter,
Perplexity and vLLM where theirs differ.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from apps.providers.usage.buckets import COUNT_MAX, Usage, count, split_input, split_output, tier_name, token_sum, told

_NOTHING: Mapping[str, Any] = {}


def openai_usage(raw: Mapping[str, Any], *, tier: str = "", searches: int | None = None) -> Usage | None:
    """The buckets of an OpenAI `usage` object (chat, Responses, embeddings, audio); None if it holds no count.

    OpenAI's totals include what its details name, so details are subtracted. `tier` and `searches` stand elsewhere in the answer.
    """
    # The other words are those of Responses, images and audio.
    words = ("prompt", "completion") if "prompt_tokens" in raw or "completion_tokens" in raw else ("input", "output")
    total_in, total_out = (count(raw.get(f"{word}_tokens")) for word in words)
    total = count(raw.get("total_tokens"))
    if total_in is None and total_out is None:
        return None
    if total is not None:  # what one side does not say follows from the other
        if total_in is None and total_out is not None and total > total_out:
            total_in = total - total_out
        elif total_out is None and total_in is not None and total > total_in:
            total_out = total - total_in
    of_input, of_output = (_details(raw, word) for word in words)
    reasoning = _first(told(of_output, "reasoning_tokens"), told(raw, "reasoning_tokens"))
    if reasoning and total_in is not None and total_out is not None and total == total_in + total_out + reasoning:
        total_out += reasoning  # xAI counts it beside the completion, not in it
    inputs, input_fits = split_input(
        total_in,
        # DeepSeek, Moonshot
        cached=_first(
            told(of_input, "cached_tokens"), told(raw, "prompt_cache_hit_tokens"), told(raw, "cached_tokens")
        ),
        cached_audio=told(of_input, "cached_tokens_details", "audio_tokens"),
        cached_image=told(of_input, "cached_tokens_details", "image_tokens"),
        written=told(of_input, "cache_write_tokens"),
        written_long=told(of_input, "cache_write_tokens_details", "ttl_12h_tokens"),
        audio=told(of_input, "audio_tokens"),
        image=told(of_input, "image_tokens"),
    )
    outputs, output_fits = split_output(
        total_out,
        reasoning=reasoning,
        audio=told(of_output, "audio_tokens"),
        image=told(of_output, "image_tokens"),
    )
    seconds = told(raw, "prompt_audio_seconds")  # Mistral
    usage = Usage(
        **inputs,
        **outputs,
        seconds=seconds,
        searches=_first(
            searches,
            told(raw, "num_search_queries"),  # Perplexity
            told(raw, "server_tool_use", "web_search_requests"),  # OpenRouter
        ),
        tier=tier,
    )
    claimed = raw.get("total_tokens")
    found = token_sum(usage)
    # Mistral's total holds tokens of audio that it names nowhere, and charges by the second.
    agrees = claimed is None or claimed == found or (bool(seconds) and total is not None and total > found)
    return usage if input_fits and output_fits and agrees else msgspec.structs.replace(usage, mismatch=True)


def images_usage(answer: Mapping[str, Any]) -> Usage | None:
    """Usage of an answer of images: tokens where the model counts them, pictures always."""
    data, raw = answer.get("data"), answer.get("usage")
    images = len(data) if isinstance(data, list) else None
    usage = openai_usage(raw, tier=tier_name(answer.get("service_tier"))) if isinstance(raw, Mapping) else None
    if usage is None:
        return None if images is None else Usage(images=images)
    if usage.image_output is None:  # without details, all that came out is picture
        usage = msgspec.structs.replace(usage, output=None, image_output=usage.output)
    return msgspec.structs.replace(usage, images=images)


def transcription_usage(answer: Mapping[str, Any]) -> Usage | None:
    """Usage of a transcription or translation: tokens, or seconds of audio where the model is charged by time, never both.

    Without either, the `duration` that verbose answers tell counts.
    """
    raw = answer.get("usage")
    if not isinstance(raw, Mapping):
        raw = _NOTHING
    usage = openai_usage(raw)
    if usage is not None:
        return usage
    # Mistral's models that count no tokens say the second.
    said = (raw.get("seconds"), raw.get("prompt_audio_seconds"), answer.get("duration"))
    seconds = _first(*map(_seconds, said))
    return None if seconds is None else Usage(seconds=seconds)


class _SpeechRequest(msgspec.Struct):
    input: str


_decode_speech = msgspec.json.Decoder(_SpeechRequest).decode


def speech_usage(request: bytes) -> Usage | None:
    """Usage of a speech request, whose answer tells none: the characters to be spoken. None if the request holds no text."""
    try:
        return Usage(characters=len(_decode_speech(request).input))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def openai_searches(answer: Mapping[str, Any]) -> int | None:
    """Web searches of a Responses answer: those that the provider bills, else those among its output items.

    Pages opened and searched in on the way are no searches.
    """
    billed = told(answer, "tool_usage", "web_search", "num_requests")
    if billed is not None:
        return billed
    items = answer.get("output")
    return sum(_is_search(item) for item in items) or None if isinstance(items, list) else None


def _is_search(item: object) -> bool:
    if not isinstance(item, Mapping) or item.get("type") != "web_search_call":
        return False
    action = item.get("action")
    return not isinstance(action, Mapping) or action.get("type") in (None, "search")


def _details(raw: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    for name in (f"{word}_tokens_details", f"{word}_token_details"):  # the second in audio's answers
        found = raw.get(name)
        if isinstance(found, Mapping):
            return found
    return _NOTHING


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _seconds(value: object) -> int | None:
    if isinstance(value, str):  # whisper-1's verbose answers
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= COUNT_MAX:
        return None
    return math.ceil(value)
