"""Prefixes that providers document: whose names they are, which names are nobody's, and that our own lists agree."""

import re
from pathlib import Path

import pytest

from apps.providers.catalogue import catalogue
from apps.providers.kinds import KINDS
from apps.providers.names import model_name_is_valid
from apps.providers.prefixes import PREFIXES, provider_by_prefix


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("claude-next-5", "anthropic"),
        ("gpt-6-mini", "openai"),
        ("o4-next", "openai"),
        ("text-embedding-3-huge", "openai"),
        ("gemini-9-ultra", "gemini"),
        ("text-embedding-006", "gemini"),
        ("codestral-2701", "mistral"),
        ("open-mixtral-9x99b", "mistral"),
        ("rerank-v9.0", "cohere"),
        ("deepseek-v9", "deepseek"),
        ("grok-9", "xai"),
        ("kimi-k9", "moonshot"),
        ("accounts/fireworks/models/new", "fireworks"),
    ],
)
def test_a_documented_prefix_says_whose_a_name_is(name: str, provider: str) -> None:
    assert provider_by_prefix(name) == provider


@pytest.mark.parametrize(
    "name",
    [
        "",
        "claude-",
        "claude",
        "Claude-next-5",
        "my-claude-next-5",
        "o9-mini",
        "llama-9",
        "gpt-oss-20b",  # weights that others serve
        "deepseek-r1:8b",  # a tag, as Ollama has them
        "gpt-4/finetuned",  # a maker or a folder, as servers of many have them
        "ft:gpt-4o:acme::1",
    ],
)
def test_what_nobody_documents_is_nobodys(name: str) -> None:
    assert provider_by_prefix(name) == ""


def test_those_whose_names_are_their_operators_have_none() -> None:
    assert KINDS.keys() - PREFIXES.keys() == {"azure_openai", "ollama", "openai_compatible", "sandbox"}
    assert PREFIXES.keys() <= KINDS.keys()


def test_no_prefix_is_anothers_too() -> None:
    every = [(prefix, provider) for provider, prefixes in PREFIXES.items() for prefix in prefixes]
    for prefix, provider in every:
        assert not [other for other, owner in every if owner != provider and other.startswith(prefix)]
        assert model_name_is_valid(f"{prefix}x")


def test_most_of_what_is_listed_has_its_providers_prefix_and_nothing_has_anothers() -> None:
    listed = [each for each in catalogue() if PREFIXES.get(each.provider)]
    owners = [provider_by_prefix(each.name) for each in listed]
    elsewhere = {each.name for each, owner in zip(listed, owners, strict=True) if owner not in ("", each.provider)}
    assert elsewhere == {"deepseek-v4-1-flash-1017"}, (
        "Mistral serves it too; it is listed, and what is listed comes first"
    )
    assert sum(map(bool, owners)) > 0.9 * len(listed)


def test_the_page_on_routing_has_the_same_prefixes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")
    section = page.partition("## Models that nobody has listed")[2].partition("\n## ")[0]
    told = {
        provider: tuple(re.findall(r"`([^`]+)`", prefixes))
        for providers, prefixes in re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.MULTILINE)
        for provider in re.findall(r"`([^`]+)`", providers)
    }
    assert told == dict(PREFIXES)
