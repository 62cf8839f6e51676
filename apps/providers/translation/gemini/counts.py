"""Writing usage in Gemini's words. Pure."""

from collections.abc import Sequence
from typing import Any

from apps.providers.usage import Usage, input_sum, output_sum

_TRAFFIC = {"priority": "ON_DEMAND_PRIORITY", "flex": "ON_DEMAND_FLEX"}


def usage_metadata(usage: Usage) -> dict[str, Any]:
    """The `usageMetadata` of an answer. What was thought is not among the candidates' tokens."""
    prompt, said = input_sum(usage), output_sum(usage)
    thought = min(usage.reasoning or 0, usage.output or 0)
    found: dict[str, Any] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": said - thought,
        "totalTokenCount": prompt + said,
    }
    cached = (usage.cache_read, usage.audio_cache_read, usage.image_cache_read)
    if any(cached):
        found["cachedContentTokenCount"] = sum(filter(None, cached))
        if any(cached[1:]):
            found["cacheTokensDetails"] = _details(cached)
    if usage.reasoning is not None:
        found["thoughtsTokenCount"] = thought
    sounds = (usage.audio_input or 0) + (usage.audio_cache_read or 0)
    pictures = (usage.image_input or 0) + (usage.image_cache_read or 0)
    if sounds or pictures:
        found["promptTokensDetails"] = _details((prompt - sounds - pictures, sounds, pictures))
    sounds, pictures = usage.audio_output or 0, usage.image_output or 0
    if sounds or pictures:
        found["candidatesTokensDetails"] = _details((said - thought - sounds - pictures, sounds, pictures))
    if usage.tier in _TRAFFIC:
        found["trafficType"] = _TRAFFIC[usage.tier]
    return found


def _details(counts: Sequence[int | None]) -> list[dict[str, Any]]:
    kinds = zip(("TEXT", "AUDIO", "IMAGE"), counts, strict=True)
    return [{"modality": kind, "tokenCount": tokens} for kind, tokens in kinds if tokens]
