"""A provider's list hides a model only if it lacks it by every name."""

import pytest

from apps.providers.listing.names import Listing

TOLD = Listing(
    ["gpt-4o-2024-08-06", "claude-haiku-4-5-20251001", "llama3:latest", "gpt-oss-120b", "mistral-small-2506", "o3"]
)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "o3"),
        ("openai", "gpt-4o"),  # it lists the dated one
        ("openai", "o3-2025-04-16"),  # it lists the undated one
        ("anthropic", "claude-haiku-4-5"),
        ("ollama", "llama3"),
        ("ollama", "llama3:latest"),
        ("openrouter", "gpt-oss-120b:free"),
        ("mistral", "mistral-small-latest"),
    ],
)
def test_another_spelling_is_in_the_list(provider: str, model: str) -> None:
    assert TOLD.has(provider, model)


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o-mini", "claude-haiku", "llama", "o", "mistral-large-latest", ""])
def test_another_model_is_not(model: str) -> None:
    assert not TOLD.has("openai", model)
