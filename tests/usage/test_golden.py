"""What providers say of a call, in the shapes of their API references, and the buckets that it must become.

One file of `golden/` for each adapter: `said` is the provider's body (or the part of it that holds usage), `used` the buckets that
somebody told; all others must be None.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.providers.usage import (
    Usage,
    anthropic_usage,
    cohere_usage,
    gemini_searches,
    gemini_usage,
    images_usage,
    read_answer,
    read_images,
    speech_tokens,
    speech_usage,
    token_sum,
    transcription_usage,
)

FOLDER = Path(__file__).parent / "golden"


def whole(said: Any) -> Usage | None:
    return read_answer(json.dumps(said).encode()).usage


ADAPTERS: dict[str, Callable[[Any], Usage | None]] = {
    "chat": whole,
    "responses": whole,
    "embeddings": whole,
    "images": lambda said: read_images(json.dumps(said).encode()).usage,
    "transcription": transcription_usage,
    "speech": lambda said: speech_usage(json.dumps(said).encode()),
    "spoken": lambda said: speech_tokens(said["usage"]),
    "anthropic": lambda said: anthropic_usage(*said),
    "gemini": lambda said: gemini_usage(said["usageMetadata"], searches=gemini_searches(said)),
    "cohere": cohere_usage,
}
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_bytes())
]


def test_every_adapter_has_its_golden_vectors() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(ADAPTERS)
    assert len(CASES) > 80


@pytest.mark.parametrize(("adapter", "case"), CASES)
def test_usage_lands_in_its_buckets_whatever_the_provider_calls_them(adapter: str, case: dict[str, Any]) -> None:
    expected = None if case["used"] is None else Usage(**case["used"])
    assert ADAPTERS[adapter](case["said"]) == expected


@pytest.mark.parametrize("case", json.loads((FOLDER / "images.json").read_bytes()), ids=lambda case: case["name"])
def test_pictures_of_an_answer_and_of_its_bytes_are_the_same(case: dict[str, Any]) -> None:
    assert images_usage(case["said"]) == ADAPTERS["images"](case["said"])


@pytest.mark.parametrize(("adapter", "case"), CASES)
def test_the_buckets_are_the_providers_total_or_are_flagged(adapter: str, case: dict[str, Any]) -> None:
    usage = ADAPTERS[adapter](case["said"])
    if usage is None or usage.mismatch:
        return
    for totals in totals_of(case["said"]):
        # Voxtral's total alone holds what is charged by the second.
        assert token_sum(usage) == totals or (usage.seconds and token_sum(usage) < totals)


def totals_of(said: Any) -> list[int]:
    """The totals that a provider names for the whole call."""
    if not isinstance(said, dict):
        return []
    found = [said.get("usage") or {}, said.get("usageMetadata") or {}]
    return [raw[name] for raw in found for name in ("total_tokens", "totalTokenCount") if name in raw]
