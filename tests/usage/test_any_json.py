"""No provider's mistake is an error of ours, a negative count, or a figure that a record cannot hold."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.usage import (
    INPUT_BUCKETS,
    OUTPUT_BUCKETS,
    Usage,
    anthropic_usage,
    cohere_usage,
    gemini_searches,
    gemini_usage,
    images_usage,
    openai_searches,
    openai_usage,
    read_answer,
    speech_usage,
    tier_name,
    token_sum,
    transcription_usage,
    written_size,
    written_tokens,
)

# Every word that an adapter looks for, so that arbitrary values come to stand where it looks.
WORDS = st.sampled_from(
    [f"{side}_tokens" for side in ("prompt", "completion", "input", "output", "total", "cached", "reasoning", "audio")]
    + ["text_tokens", "image_tokens", "cache_write_tokens", "cache_write_tokens_details", "ttl_12h_tokens"]
    + [f"{side}_{of}_details" for side in ("prompt", "completion", "input", "output") for of in ("tokens", "token")]
    + ["cached_tokens_details", "prompt_cache_hit_tokens", "prompt_audio_seconds", "num_search_queries", "seconds"]
    + ["cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation", "ephemeral_5m_input_tokens"]
    + [
        "ephemeral_1h_input_tokens",
        "thinking_tokens",
        "server_tool_use",
        "web_search_requests",
        "service_tier",
        "speed",
    ]
    + ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount", "totalTokenCount"]
    + ["cachedContentTokenCount", "promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails", "tokenCount"]
    + ["modality", "trafficType", "serviceTier", "candidates", "groundingMetadata", "webSearchQueries"]
    + ["billed_units", "tokens", "search_units", "usage", "model", "output", "type", "action", "tool_usage"]
    + ["web_search", "num_requests", "data", "duration", "choices", "delta", "content", "text"]
)
NUMBERS = (
    st.integers(0, 200)
    | st.integers()
    | st.sampled_from([1 << 48, (1 << 48) + 1, 1 << 63, 10**40, -1, -(10**40)])
    | st.floats()
)
TEXTS = (
    st.sampled_from(["AUDIO", "IMAGE", "TEXT", "web_search_call", "search", "fast", "9", "nan", "1e400"]) | st.text()
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=8),
    max_leaves=30,
)
OBJECTS = st.dictionaries(WORDS, ANYTHING | st.dictionaries(WORDS, NUMBERS, max_size=8), max_size=12)

ADAPTERS: list[Callable[[dict[str, Any]], Usage | None]] = [
    openai_usage,
    images_usage,
    transcription_usage,
    anthropic_usage,
    lambda said: anthropic_usage({"input_tokens": 1}, said, said),
    lambda said: gemini_usage(said, searches=gemini_searches(said)),
    cohere_usage,
    lambda said: openai_usage(said, searches=openai_searches(said)),
    lambda said: read_answer(as_sent(said)).usage,
    lambda said: read_answer(as_sent({"usage": said, "output": [said], "service_tier": said})).usage,
    lambda said: speech_usage(as_sent(said)),
]
COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in ("tier", "estimated", "mismatch"))
EVERY_BUCKET = INPUT_BUCKETS + OUTPUT_BUCKETS


def as_sent(said: object) -> bytes:
    return json.dumps(said).encode()  # with NaN and Infinity, which are no JSON


@pytest.mark.parametrize("adapter", ADAPTERS)
@settings(max_examples=300, deadline=None)
@given(said=OBJECTS)
def test_whatever_is_said_gives_counts_that_hold_or_nothing(
    adapter: Callable[[dict[str, Any]], Usage | None], said: dict[str, Any]
) -> None:
    usage = adapter(said)
    if usage is None:
        return
    for name in COUNTS:
        value = getattr(usage, name)
        assert value is None or (type(value) is int and 0 <= value < 1 << 52)
    if usage.output is not None:
        assert (usage.reasoning or 0) <= usage.output
    assert len(usage.tier) <= 32
    assert usage.tier == usage.tier.lower()
    assert not usage.estimated


@settings(max_examples=300, deadline=None)
@given(OBJECTS)
def test_unless_it_is_flagged_the_sum_is_the_total_that_the_provider_says(said: dict[str, Any]) -> None:
    openai, gemini = openai_usage(said), gemini_usage(said)
    if openai is not None and not openai.mismatch and said.get("total_tokens") is not None and not openai.seconds:
        assert token_sum(openai) == said["total_tokens"]
    if gemini is not None and not gemini.mismatch and said.get("totalTokenCount") is not None:
        assert token_sum(gemini) == said["totalTokenCount"]


PARTS = st.integers(0, 1 << 30)


@settings(max_examples=300, deadline=None)
@given(*[PARTS] * 9)
def test_disjoint_parts_come_out_as_they_went_into_the_details(
    text: int, read: int, short: int, long: int, heard: int, heard_again: int, seen: int, said: int, spoken: int
) -> None:
    raw: dict[str, Any] = {
        "prompt_tokens": text + read + short + long + heard + heard_again + seen,
        "completion_tokens": said + spoken,
        "prompt_tokens_details": {
            "cached_tokens": read + heard_again,
            "cached_tokens_details": {"audio_tokens": heard_again, "image_tokens": 0},
            "cache_write_tokens": short + long,
            "cache_write_tokens_details": {"ttl_12h_tokens": long},
            "audio_tokens": heard + heard_again,
            "image_tokens": seen,
        },
        "completion_tokens_details": {"audio_tokens": spoken},
    }
    raw["total_tokens"] = raw["prompt_tokens"] + raw["completion_tokens"]
    assert openai_usage(raw) == Usage(
        input=text,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        audio_input=heard,
        audio_cache_read=heard_again,
        image_input=seen,
        image_cache_read=0,
        output=said,
        audio_output=spoken,
    )
    raw["total_tokens"] += 1
    usage = openai_usage(raw)
    assert usage is not None
    assert usage.mismatch


@settings(max_examples=200, deadline=None)
@given(ANYTHING)
def test_a_tier_and_a_text_are_found_in_anything(said: object) -> None:
    assert len(tier_name(said)) <= 32
    assert written_size(said) >= 0
    assert written_tokens(as_sent(said)) >= 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_answer_tell_nothing(body: bytes) -> None:
    assert read_answer(body).usage is None
    assert speech_usage(body) is None
    assert written_tokens(body) == -(-len(body) // 4)


@pytest.mark.parametrize(
    "name", ["default", "standard", "auto", "on_demand", "ON_DEMAND", " Default ", "", None, 5, []]
)
def test_the_standard_tier_has_no_name(name: object) -> None:
    assert tier_name(name) == ""


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        ("fast", "priority"),
        ("Priority", "priority"),
        ("flex", "flex"),
        ("ON_DEMAND_FLEX", "flex"),
        ("ultrafast", "ultrafast"),
        ("a\nb", "ab"),
        ("x" * 100, "x" * 32),
    ],
)
def test_a_tier_has_one_name_whoever_served_it(said: str, tier: str) -> None:
    assert tier_name(said) == tier


FEW = st.none() | st.integers(-1, 6) | st.sampled_from([True, 2.0, "3", 1 << 37])
USUAL = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 6), "completion_tokens": st.integers(0, 6)},
    optional={
        "total_tokens": FEW | st.integers(0, 12),
        "prompt_tokens_details": FEW | st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens"]), FEW),
        "completion_tokens_details": FEW
        | st.dictionaries(st.sampled_from(["reasoning_tokens", "audio_tokens", "rejected_prediction_tokens"]), FEW),
    },
)


@settings(max_examples=1000, deadline=None)
@given(USUAL, st.booleans())
def test_what_most_answers_tell_means_the_same_as_beside_something_unknown(raw: dict[str, Any], adds_up: bool) -> None:
    if adds_up:
        raw["total_tokens"] = raw["prompt_tokens"] + raw["completion_tokens"]
    assert openai_usage(raw, tier="flex", searches=2) == openai_usage({**raw, "unknown": 1}, tier="flex", searches=2)
