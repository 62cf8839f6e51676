"""What a call used, read out of every form of usage that providers of OpenAI's dialect are known to send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.usage import Usage, openai_usage

# From OpenAI's API reference, Azure OpenAI, vLLM, Ollama, DeepSeek and OpenRouter, as each of them sends it.
GOLDEN: list[tuple[str, dict[str, Any], Usage]] = [
    (
        "chat, plain",
        {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
        Usage(input=9, output=12),
    ),
    (
        "chat, all details",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 10},
            "completion_tokens_details": {
                "reasoning_tokens": 128,
                "audio_tokens": 40,
                "accepted_prediction_tokens": 5,
                "rejected_prediction_tokens": 6,
            },
        },
        Usage(input=76, cache_read=1920, output=260, reasoning=128, audio_input=10, audio_output=40),
    ),
    (
        "chat, a provider that writes its cache",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
        },
        Usage(input=100, cache_read=600, cache_write_5m=300, output=10),
    ),
    (
        "chat, details of null as vLLM sends them",
        {"prompt_tokens": 14, "total_tokens": 34, "completion_tokens": 20, "prompt_tokens_details": None},
        Usage(input=14, output=20),
    ),
    (
        "responses",
        {
            "input_tokens": 75,
            "input_tokens_details": {"cached_tokens": 32},
            "output_tokens": 1186,
            "output_tokens_details": {"reasoning_tokens": 1024},
            "total_tokens": 1261,
        },
        Usage(input=43, cache_read=32, output=1186, reasoning=1024),
    ),
    ("embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
    ("nothing used", {"prompt_tokens": 0, "completion_tokens": 0}, Usage(input=0, output=0)),
    ("output alone", {"completion_tokens": 3}, Usage(output=3)),
    (
        "DeepSeek's own words beside OpenAI's",
        {
            "prompt_tokens": 20,
            "completion_tokens": 5,
            "prompt_cache_hit_tokens": 16,
            "prompt_cache_miss_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 16},
        },
        Usage(input=4, cache_read=16, output=5),
    ),
    (
        "both dialects at once, of which chat's counts",
        {"prompt_tokens": 7, "completion_tokens": 3, "input_tokens": 70, "output_tokens": 30},
        Usage(input=7, output=3),
    ),
    (
        "details that exceed their total",
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}},
        Usage(input=0, cache_read=9, output=1, mismatch=True),
    ),
]

NOTHING: list[dict[str, Any]] = [
    {},
    {"total_tokens": 5},
    {"prompt_tokens": None, "completion_tokens": None},
    {"prompt_tokens": "9", "completion_tokens": 1.5},
    {"prompt_tokens": True, "completion_tokens": False},
    {"prompt_tokens": -1, "completion_tokens": 1 << 62},
    {"input_tokens": [], "output_tokens": {}},
]

BUCKETS = ("input", "cache_read", "cache_write_5m", "output", "audio_input", "audio_output")


@pytest.mark.parametrize(("raw", "expected"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN])
def test_every_known_form_gives_its_buckets(raw: dict[str, Any], expected: Usage) -> None:
    assert openai_usage(raw) == expected


@pytest.mark.parametrize("raw", NOTHING)
def test_what_holds_no_count_is_nobody_saying(raw: dict[str, Any]) -> None:
    assert openai_usage(raw) is None


@pytest.mark.parametrize("wrong", [None, "1", 1.0, True, -1, 1 << 62, [], {}])
def test_one_count_that_is_none_does_not_spoil_the_others(wrong: object) -> None:
    details = {"cached_tokens": wrong, "audio_tokens": 2}
    raw = {"prompt_tokens": 9, "completion_tokens": wrong, "prompt_tokens_details": details}
    assert openai_usage(raw) == Usage(input=7, audio_input=2)


@given(st.integers(0, 1 << 35), *[st.integers(0, 1 << 20)] * 4)
def test_the_buckets_add_up_to_what_the_provider_charges_for(
    fresh: int, cached: int, written: int, heard: int, spoken: int
) -> None:
    raw: dict[str, Any] = {
        "prompt_tokens": fresh + cached + written + heard,
        "completion_tokens": 10 + spoken,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": heard},
        "completion_tokens_details": {"audio_tokens": spoken, "reasoning_tokens": 5},
    }
    usage = openai_usage(raw)
    assert usage is not None
    assert sum(getattr(usage, bucket) for bucket in BUCKETS) == raw["prompt_tokens"] + raw["completion_tokens"]
    assert (usage.input, usage.output, usage.reasoning) == (fresh, 10, 5)


WORDS = st.sampled_from(
    [f"{side}_tokens{more}" for side in ("prompt", "completion", "input", "output") for more in ("", "_details")]
    + ["cached_tokens", "audio_tokens", "reasoning_tokens"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(st.dictionaries(WORDS, ANYTHING))
def test_nothing_a_provider_says_is_an_error_or_a_negative_count(raw: dict[str, Any]) -> None:
    usage = openai_usage(raw)
    if usage is not None:
        assert all(value is None or 0 <= value < 1 << 62 for value in (getattr(usage, name) for name in BUCKETS))
        assert not usage.estimated
