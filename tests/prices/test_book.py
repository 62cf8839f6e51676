"""Which rows price a model: never another model's, an organization's own first, and those in force at the time."""

from datetime import UTC, datetime, timedelta
from math import inf
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.prices.book import candidates, compile_book, names_of, undated
from apps.providers.prices.seed import aliases, model_facts, seed_rows
from apps.providers.usage import Usage
from tests.prices.sheets import NOW, row, shipped

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
ONE = Usage(input=1)
PRICED = sorted({(seed.provider, seed.model) for seed in seed_rows()})


def test_all_shipped_models_are_found_by_their_own_name_with_their_own_rows() -> None:
    assert len(model_facts()) == 803
    for provider, model in PRICED:
        found = shipped().sheet(provider, model, NOW)
        assert found is not None
        assert (found.provider, found.model) == (provider, model)


def test_a_model_without_a_listed_price_has_none() -> None:
    unpriced = set(model_facts()) - set(PRICED)
    assert ("zai", "glm-4.5-flash") in unpriced
    for provider, model in unpriced:
        assert shipped().sheet(provider, model, NOW) is None


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PRICED),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-.@/:", min_size=1, max_size=12),
    st.sampled_from(["after", "before", "inside", "cut"]),
)
def test_a_name_that_is_not_the_models_own_never_gets_its_price(place: tuple[str, str], more: str, where: str) -> None:
    provider, model = place
    name = {
        "after": model + more,
        "before": more + model,
        "inside": model[: len(model) // 2] + more + model[len(model) // 2 :],
        "cut": model[: -min(len(more), len(model) - 1)],
    }[where]
    found = shipped().sheet(provider, name, NOW)
    if found is not None:
        own = {name, undated(name)}
        assert found.model in own | {aliases().get((provider, known)) for known in own} or provider == "sandbox"


@pytest.mark.parametrize(
    "suffix", ["-mini", ".5", "-pro", "-2", "-chat", "-2026", "-20261301", "-2026-02-32", "-latest", "-0613"]
)
def test_no_suffix_but_a_date_leads_back_to_the_model(suffix: str) -> None:
    book = compile_book([row(model="gpt-5", input="1")])
    assert book.sheet("openai", f"gpt-5{suffix}", NOW) is None


@pytest.mark.parametrize("date", ["-2026-03-05", "-20260305", "@20260305"])
def test_a_dated_name_without_a_price_of_its_own_costs_what_the_undated_does(date: str) -> None:
    book = compile_book([row(model="gpt-5", input="1"), row(model="gpt-5-2025-01-01", input="3")])
    found = book.sheet("openai", f"gpt-5{date}", NOW)
    assert found is not None
    assert found.model == "gpt-5"
    dated = book.sheet("openai", "gpt-5-2025-01-01", NOW)
    assert dated is not None
    assert dated.cost(ONE).pico == 3_000_000


def test_a_documented_alias_leads_to_its_model_and_to_no_other_provider() -> None:
    found = shipped().sheet("openai", "gpt-4o-mini-audio-preview", NOW)
    assert found is not None
    assert found.model == "gpt-4o-mini-audio-preview-2024-12-17"
    assert shipped().sheet("azure_openai", "gpt-4o-mini-audio-preview", NOW) is None
    for (provider, alias), model in aliases().items():
        assert (provider, model) in PRICED
        assert (provider, alias) not in PRICED


def test_another_providers_price_of_the_same_name_is_never_used() -> None:
    book = compile_book([row("openai", "gpt-5", input="1")])
    assert book.sheet("azure_openai", "gpt-5", NOW) is None
    assert book.sheet("openai_compatible", "gpt-5", NOW) is None


def test_priced_as_names_a_model_of_the_same_provider_or_of_another() -> None:
    book = compile_book([row("openai", "gpt-5", input="1"), row("together", "meta/llama", input="2")])
    for provider, priced_as, amount in (
        ("openai", "gpt-5", 1),
        ("azure_openai", "openai/gpt-5", 1),
        ("openai_compatible", "together/meta/llama", 2),
        ("together", "meta/llama", 2),
    ):
        found = book.sheet(provider, "anything", NOW, priced_as)
        assert found is not None
        assert found.cost(ONE).pico == amount * 1_000_000
    assert book.sheet("openai", "gpt-5", NOW, "gpt-6") is None  # and not by its own name


def test_an_organizations_own_rows_are_the_whole_sheet() -> None:
    mine = uuid4()
    book = compile_book(
        [
            row(model="gpt-5", input="4", output="8"),
            row(model="gpt-5", tier="batch", input="2"),
            row(model="gpt-5", organization=mine, input="3"),
        ]
    )
    found = book.sheet("openai", "gpt-5", NOW)
    assert found is not None
    assert found.cost(ONE).pico == 3_000_000
    assert found.cost(Usage(input=1, tier="batch")).pico == 3_000_000  # not the installation's batch price
    assert found.cost(Usage(output=1)).missing == "output"


def test_an_organizations_tier_row_alone_does_not_displace_the_installations() -> None:
    book = compile_book(
        [row(model="gpt-5", input="4"), row(model="gpt-5", organization=uuid4(), tier="batch", input="1")]
    )
    found = book.sheet("openai", "gpt-5", NOW)
    assert found is not None
    assert found.cost(Usage(input=1, tier="batch")).pico == 4_000_000


def test_the_latest_row_in_force_wins_and_the_sheet_knows_when_it_ends() -> None:
    book = compile_book(
        [
            row(model="gpt-5", since=JUNE + timedelta(days=30), input="9"),
            row(model="gpt-5", since=JUNE, input="2"),
            row(model="gpt-5", since=JUNE - timedelta(days=30), input="1"),
        ]
    )
    june = JUNE.timestamp()
    day = 86400
    for at, amount, ends in (
        (june - 1, 1, june),
        (june, 2, june + 30 * day),
        (june + 30 * day - 1, 2, june + 30 * day),
        (june + 30 * day, 9, inf),
        (june - 1, 1, june),
    ):
        found = book.sheet("openai", "gpt-5", at)
        assert found is not None
        assert found.cost(ONE).pico == amount * 1_000_000
        assert found.ends_at == ends
    assert book.sheet("openai", "gpt-5", june - 31 * day) is None


def test_the_names_to_ask_the_table_for_hold_all_that_a_look_up_may_use() -> None:
    for provider, model in [*PRICED, *aliases(), ("openai", "gpt-5-2026-03-05"), ("sandbox", "sandbox-slow-250ms")]:
        assert set(names_of(provider, model)) <= set(candidates(model))
    assert {"meta/llama", "together/meta/llama"} <= set(candidates("together/meta/llama"))


def test_looking_up_many_names_does_not_fill_the_memory() -> None:
    book = compile_book([row(model="gpt-5", input="1")])
    for number in range(10_000):
        assert book.sheet("openai", f"gpt-5-{number}", NOW) is None
    assert len(book._found) <= 4096
