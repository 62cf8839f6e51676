"""Usage in Gemini's words. What was thought is counted beside the candidates, and what tools brought in beside the prompt."""

from collections.abc import Mapping
from typing import Any

import msgspec

from apps.providers.usage.buckets import Usage, count, split_input, split_output, tier_name, token_sum, told


def gemini_usage(raw: Mapping[str, Any], *, searches: int | None = None) -> Usage | None:
    """The buckets of a `usageMetadata` object, of a stream the last one; None if it holds no count.

    Video and documents are billed as text and stay with it. `searches` stand elsewhere in the answer.
    """
    prompt, tools = told(raw, "promptTokenCount"), told(raw, "toolUsePromptTokenCount")
    said, thought = told(raw, "candidatesTokenCount"), told(raw, "thoughtsTokenCount")
    total_in = None if prompt is None and tools is None else (prompt or 0) + (tools or 0)
    total_out = None if said is None and thought is None else (said or 0) + (thought or 0)
    if total_in is None and total_out is None:
        return None
    total = told(raw, "totalTokenCount")
    if total_out is None and total is not None and total_in is not None and total > total_in:
        total_out = total - total_in
    inputs, input_fits = split_input(
        total_in,
        cached=told(raw, "cachedContentTokenCount"),
        cached_audio=_of_kind(raw, "AUDIO", "cacheTokensDetails"),
        cached_image=_of_kind(raw, "IMAGE", "cacheTokensDetails"),
        audio=_of_kind(raw, "AUDIO", "promptTokensDetails", "toolUsePromptTokensDetails"),
        image=_of_kind(raw, "IMAGE", "promptTokensDetails", "toolUsePromptTokensDetails"),
    )
    outputs, output_fits = split_output(
        total_out,
        reasoning=thought,
        audio=_of_kind(raw, "AUDIO", "candidatesTokensDetails"),
        image=_of_kind(raw, "IMAGE", "candidatesTokensDetails"),
    )
    usage = Usage(
        **inputs, **outputs, searches=searches, tier=tier_name(raw.get("trafficType") or raw.get("serviceTier"))
    )
    claimed = raw.get("totalTokenCount")
    agrees = claimed is None or claimed == token_sum(usage)
    return usage if input_fits and output_fits and agrees else msgspec.structs.replace(usage, mismatch=True)


def gemini_searches(answer: Mapping[str, Any]) -> int | None:
    """Web searches that grounded an answer; None if it was not grounded."""
    candidates = answer.get("candidates")
    found = None
    for candidate in candidates if isinstance(candidates, list) else []:
        grounding = candidate.get("groundingMetadata") if isinstance(candidate, dict) else None
        queries = grounding.get("webSearchQueries") if isinstance(grounding, dict) else None
        if isinstance(queries, list):
            found = (found or 0) + len(queries)
    return found


def _of_kind(raw: Mapping[str, Any], modality: str, *lists: str) -> int | None:
    """Tokens of a modality in lists of `{modality, tokenCount}`; None if none of them names it."""
    found = None
    for name in lists:
        parts = raw.get(name)
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, dict) and part.get("modality") == modality:
                tokens = count(part.get("tokenCount"))
                found = found if tokens is None else (found or 0) + tokens
    return found
