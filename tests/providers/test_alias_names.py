"""What a name means: exact before pattern, the longer prefix before the shorter, and never an alias of an alias."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.aliases.names import (
    AliasBook,
    AliasRule,
    Meaning,
    Target,
    fits,
    meaning_of,
    pattern_is_valid,
    target_of,
)
from apps.providers.aliases.names import spelled as split

LISTED = {("openai", "gpt-4o"), ("openai", "gpt-4o-mini"), ("anthropic", "claude-x"), ("together", "openai/gpt-4o")}
NAMES = st.text(string.ascii_lowercase + "-./*", max_size=12)


def is_listed(provider: str, name: str) -> bool:
    return any(name == model and provider in ("", owner) for owner, model in LISTED)


def owner_of(provider: str, name: str) -> str:
    """One provider alone may be asked for what is not listed, by name or by prefix."""
    return "xai" if provider == "xai" or (not provider and name.startswith("grok-")) else ""


def book(*names: str) -> AliasBook:
    return AliasBook(AliasRule(name=name, targets=(Target(model="gpt-4o"),)) for name in names)


def meant(name: str, *aliases: str) -> str:
    """The name of the alias that catches it; provider/model or model; empty: nothing."""
    found = meaning_of(name, book(*aliases), is_listed, owner_of)
    if found is None:
        return ""
    if found.alias is not None:
        return f"alias {found.alias.name}"
    return f"{'new ' if found.is_unlisted else ''}{found.provider}|{found.model}"


@pytest.mark.parametrize(
    ("name", "aliases", "means"),
    [
        ("gpt-4o", [], "|gpt-4o"),
        ("openai/gpt-4o-mini", [], "openai|gpt-4o-mini"),
        ("openai/gpt-4o", [], "|openai/gpt-4o"),  # together's own name for it
        ("anthropic/gpt-4o", [], ""),
        ("nobody/gpt-4o", [], ""),
        ("OpenAI/gpt-4o-mini", [], ""),
        ("gpt-4", [], ""),
        ("fast", ["fast"], "alias fast"),
        ("gpt-4o", ["gpt-4o", "gpt-*"], "alias gpt-4o"),
        ("gpt-4o", ["gpt-*", "gpt-4*", "g*"], "alias gpt-4*"),
        ("gpt-4o-mini", ["gpt-*", "gpt-*-mini"], "alias gpt-*-mini"),
        ("openai/gpt-4o-mini", ["openai/*"], "alias openai/*"),
        ("gpt-4o", ["*", "*4o"], "|gpt-4o"),
        ("openai/gpt-4o-mini", ["*"], "openai|gpt-4o-mini"),
        ("gpt-5", ["*", "*-5"], "alias *-5"),
        ("gpt-6", ["*", "*-5"], "alias *"),
        ("gpt", ["gpt-*"], ""),
        ("gpt-", ["gpt-*"], "alias gpt-*"),
        ("aba", ["ab*ba"], ""),
        ("abba", ["ab*ba"], "alias ab*ba"),
        ("grok-9", [], "new xai|grok-9"),
        ("xai/else", [], "new xai|else"),
        ("anthropic/grok-9", [], ""),
        ("grok-9", ["*-9"], "alias *-9"),
        ("xai/else", ["*"], "alias *"),
        ("grok-9", ["grok-*"], "alias grok-*"),
    ],
)
def test_the_most_definite_wins(name: str, aliases: list[str], means: str) -> None:
    assert meant(name, *aliases) == means
    assert meant(name, *reversed(aliases)) == means


def test_of_two_aliases_of_one_name_the_first_counts() -> None:
    own, shared = (AliasRule(name="gpt-*", targets=(), created=at) for at in (1, 2))
    found = meaning_of("gpt-9", AliasBook([own, shared]), is_listed, owner_of)
    assert found is not None
    assert found.alias is own


@pytest.mark.parametrize(
    ("target", "star", "means"),
    [
        ("gpt-4o", "", Meaning(model="gpt-4o")),
        ("openai/gpt-4o", "", Meaning(model="openai/gpt-4o")),
        ("openai/gpt-9", "", Meaning(provider="openai", model="gpt-9")),
        ("anthropic/claude-*", "x", Meaning(provider="anthropic", model="claude-x")),
        ("fast", "", Meaning(model="fast")),  # a model of that name, though there may be an alias
        ("openai/*", "", None),
        ("openai/*", "..", None),
        ("openai/*", "a/../b", None),
    ],
)
def test_a_target_is_a_model_or_no_name_at_all(target: str, star: str, means: Any) -> None:
    assert target_of(target, star, is_listed) == means


@given(NAMES, NAMES)
def test_a_pattern_fits_what_its_star_makes(pattern: str, star: str) -> None:
    if pattern.count("*") == 1:
        assert fits(pattern, pattern.replace("*", star)) == star
    elif "*" not in pattern:
        assert fits(pattern, pattern) == ""


@given(
    st.lists(NAMES.filter(lambda text: text.count("*") <= 1), max_size=8), NAMES.map(lambda text: text.replace("*", ""))
)
def test_what_catches_a_name_fits_it(aliases: list[str], name: str) -> None:
    found = meaning_of(name, book(*aliases), is_listed, owner_of)
    if found is not None and found.alias is not None:
        assert fits(found.alias.name, name) == found.star
        longer = [each for each in aliases if "*" in each and fits(each, name) is not None]
        if found.alias.is_pattern:
            assert name not in aliases
            assert len(found.alias.name.partition("*")[0]) == max(len(each.partition("*")[0]) for each in longer)


@pytest.mark.parametrize("text", ["*", "gpt-*", "*-mini", "a*b", "openai/*", "openai/gpt-4o", "@cf/x"])
def test_patterns_that_are_names(text: str) -> None:
    assert pattern_is_valid(text)


@pytest.mark.parametrize("text", ["", "**", "a*b*", "-x", "a b", "../x", "a//b", "gpt?", "a/*/../b", "x\n"])
def test_patterns_that_are_none(text: str) -> None:
    assert not pattern_is_valid(text)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("openai/gpt", ("openai", "gpt")),
        ("openai/", ("", "")),
        ("gpt", ("", "")),
        ("acme/gpt", ("", "")),
        ("/x", ("", "")),
    ],
)
def test_only_a_providers_name_is_split_off(name: str, parts: tuple[str, str]) -> None:
    assert split(name) == parts
