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

# Input, output, and the details of each, which audio's answers call by a name of their own.
_CHAT_WORDS = (
    *("prompt_tokens", "completion_tokens"),
    *("prompt_tokens_details", "prompt_token_details"),
    *("completion_tokens_details", "completion_token_details"),
)
_OTHER_WORDS = (  # of Responses, images and audio
    *("input_tokens", "output_tokens"),
    *("input_tokens_details", "input_token_details"),
    *("output_tokens_details", "output_token_details"),
)

# What an answer of chat usually tells, and nothing more.
_USUAL = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_USUAL_OF_INPUT = frozenset({"cached_tokens", "audio_tokens"})
_USUAL_OF_OUTPUT = frozenset(
    {"reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"}
)


def openai_usage(raw: Mapping[str, Any], *, tier: str = "", searches: int | None = None) -> Usage | None:
    """The buckets of an OpenAI `usage` object (chat, Responses, embeddings, audio); None if it holds no count.

    OpenAI's totals include what its details name, so details are subtracted. `tier` and `searches` stand elsewhere in the answer.
    """
    if raw.keys() <= _USUAL and (usage := _usual(raw, tier, searches)) is not None:
        return usage
    words = _CHAT_WORDS if "prompt_tokens" in raw or "completion_tokens" in raw else _OTHER_WORDS
    total_in, total_out = count(raw.get(words[0])), count(raw.get(words[1]))
    if total_in is None and total_out is None:
        return None
    claimed = raw.get("total_tokens")
    total = count(claimed)
    if total is not None:  # what one side does not say follows from the other
        if total_in is None and total_out is not None and total > total_out:
            total_in = total - total_out
        elif total_out is None and total_in is not None and total > total_in:
            total_out = total - total_in
    of_input, of_output = _details(raw, words[2], words[3]), _details(raw, words[4], words[5])
    reasoning = count(of_output.get("reasoning_tokens"))
    if reasoning is None:
        reasoning = count(raw.get("reasoning_tokens"))
    if reasoning and total_in is not None and total_out is not None and total == total_in + total_out + reasoning:
        total_out += reasoning  # xAI counts it beside the completion, not in it
    cached = count(of_input.get("cached_tokens"))
    if cached is None:  # DeepSeek, Moonshot
        cached = _first(count(raw.get("prompt_cache_hit_tokens")), count(raw.get("cached_tokens")))
    inputs, input_fits = split_input(
        total_in,
        cached=cached,
        cached_audio=told(of_input, "cached_tokens_details", "audio_tokens"),
        cached_image=told(of_input, "cached_tokens_details", "image_tokens"),
        written=count(of_input.get("cache_write_tokens")),
        written_long=told(of_input, "cache_write_tokens_details", "ttl_12h_tokens"),
        audio=count(of_input.get("audio_tokens")),
        image=count(of_input.get("image_tokens")),
    )
    outputs, output_fits = split_output(
        total_out,
        reasoning=reasoning,
        audio=count(of_output.get("audio_tokens")),
        image=count(of_output.get("image_tokens")),
    )
    seconds = count(raw.get("prompt_audio_seconds"))  # Mistral
    if searches is None:  # Perplexity, OpenRouter
        searches = _first(count(raw.get("num_search_queries")), told(raw, "server_tool_use", "web_search_requests"))
    usage = Usage(
        **inputs,
        **outputs,
        seconds=seconds,
        searches=searches,
        tier=tier,
    )
    found = token_sum(usage)
    # Mistral's total holds tokens of audio that it names nowhere, and charges by the second.
    agrees = claimed is None or claimed == found or (bool(seconds) and total is not None and total > found)
    return usage if input_fits and output_fits and agrees else msgspec.structs.replace(usage, mismatch=True)


def _usual(raw: Mapping[str, Any], tier: str, searches: int | None) -> Usage | None:
    """The same for what most answers of chat tell, which adds up and is text, in a tenth of the time. None: this one tells more."""
    total_in, total_out = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    if total_in is None or total_out is None or raw.get("total_tokens") != total_in + total_out:
        return None
    cached = sound = reasoning = spoken = None
    of_input, of_output = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    if of_input:
        if not isinstance(of_input, dict) or not of_input.keys() <= _USUAL_OF_INPUT:
            return None
        cached, sound = of_input.get("cached_tokens"), of_input.get("audio_tokens")
        if not _fits(cached, total_in) or not _fits(sound, 0):
            return None
    if of_output:
        if not isinstance(of_output, dict) or not of_output.keys() <= _USUAL_OF_OUTPUT:
            return None
        reasoning, spoken = of_output.get("reasoning_tokens"), of_output.get("audio_tokens")
        if not _fits(reasoning, total_out) or not _fits(spoken, 0):
            return None
    return Usage(
        input=total_in - (cached or 0),
        cache_read=cached,
        audio_input=sound,
        output=total_out,
        reasoning=reasoning,
        audio_output=spoken,
        searches=searches,
        tier=tier,
    )


def _fits(value: object, most: int) -> bool:
    """Whether it is absent, or a count up to `most`."""
    return value is None or (type(value) is int and 0 <= value <= most)


def images_usage(answer: Mapping[str, Any]) -> Usage | None:
    """Usage of an answer of images: tokens where the model counts them, pictures always."""
    data, raw = answer.get("data"), answer.get("usage")
    images = len(data) if isinstance(data, list) else None
    usage = openai_usage(raw, tier=tier_name(answer.get("service_tier"))) if isinstance(raw, dict) else None
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
    if not isinstance(raw, dict):
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


def speech_tokens(raw: Mapping[str, Any]) -> Usage | None:
    """The buckets of the `usage` that a stream of speech ends with: what comes out is sound, unless its details say otherwise."""
    usage = openai_usage(raw)
    if usage is None or usage.audio_output is not None:
        return usage
    return msgspec.structs.replace(usage, output=None, audio_output=usage.output)


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
    if not isinstance(item, dict) or item.get("type") != "web_search_call":
        return False
    action = item.get("action")
    return not isinstance(action, dict) or action.get("type") in (None, "search")


def _details(raw: Mapping[str, Any], name: str, other_name: str) -> Mapping[str, Any]:
    found = raw.get(name) or raw.get(other_name)
    return found if isinstance(found, dict) else _NOTHING


def _first(*values: int | None) -> int | None:
    for value in values:
        if value is not None:
            return value
    return None


def _seconds(value: object) -> int | None:
    if isinstance(value, str):  # whisper-1's verbose answers
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= COUNT_MAX:
        return None
    return math.ceil(value)
