"""What calls cost: amounts worked out by hand for shipped models, and what holds for every sheet and every usage."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.prices.kinds import KINDS, TIERS, TOKEN_BUCKETS
from apps.providers.prices.money import pico_per_unit, usd
from apps.providers.prices.seed import seed_rows
from apps.providers.prices.sheet import PriceSheet, Row
from apps.providers.usage import Usage
from tests.prices.sheets import NOW, price_id, row, sheet, shipped

# Each amount is worked out on paper from the provider's list price, in USD per million: 1000 x 0.15 + 500 x 0.075 + 200 x 0.60 …
GOLDEN = [
    ("openai/gpt-4o-mini", Usage(input=1000, cache_read=500, output=200), "0.000307500000"),
    ("openai/gpt-4o-mini", Usage(input=1, output=0), "0.000000150000"),
    ("openai/gpt-4o-mini", Usage(input=1000, cache_read=500, output=200, tier="batch"), "0.000172500000"),
    ("openai/gpt-4o-mini", Usage(input=10, output=5, searches=3), "0.075004500000"),
    ("openai/gpt-4o-mini-2024-07-18", Usage(input=1000, output=200), "0.000270000000"),
    # Above 272,000 input tokens, read ones included, the whole request costs more
    ("openai/gpt-6-sol", Usage(input=200_000, cache_read=72_000, output=1000), "0.424400000000"),
    ("openai/gpt-6-sol", Usage(input=200_001, cache_read=72_000, output=1000), "0.843804000000"),
    ("openai/gpt-6-sol", Usage(input=1000, output=100, tier="priority"), "0.006000000000"),
    ("openai/gpt-6-sol", Usage(input=1000, output=100, tier="fast"), "0.006000000000"),
    ("openai/gpt-6-sol", Usage(input=300_000, cache_write_5m=1000, output=10, tier="priority"), "2.410300000000"),
    ("openai/gpt-6-sol", Usage(input=1000, output=100, reasoning=80, tier="default"), "0.003000000000"),
    ("openai/gpt-6-sol", Usage(input=1000, output=100, tier="flex"), "0.001500000000"),
    ("gemini/gemini-2.5-pro", Usage(input=150_000, cache_read=50_000, output=1000, reasoning=600), "0.203750000000"),
    ("gemini/gemini-2.5-pro", Usage(input=150_000, cache_read=50_001, output=1000, reasoning=600), "0.402500250000"),
    # Flex has no long-context row of its own: the standard one
    ("gemini/gemini-2.5-pro", Usage(input=150_000, cache_read=50_001, output=1000, tier="flex"), "0.402500250000"),
    ("gemini/gemini-2.5-flash", Usage(input=100, audio_input=200, audio_cache_read=50, output=10), "0.000260000000"),
    (
        "anthropic/claude-sonnet-4-5",
        Usage(input=10, cache_read=2000, cache_write_5m=1000, cache_write_1h=500, output=100),
        "0.008880000000",
    ),
    # Batch lists no 1 h writes: the standard price
    ("anthropic/claude-sonnet-4-5", Usage(cache_write_1h=500, output=100, tier="batch"), "0.003750000000"),
    ("openai/whisper-1", Usage(seconds=90), "0.009000000000"),
    ("openai/tts-1", Usage(characters=1234), "0.018510000000"),
    ("openai/gpt-image-1", Usage(input=20, image_input=300, image_output=4160, images=1), "0.169500000000"),
    ("gemini/imagen-3.0-generate-001", Usage(images=3), "0.120000000000"),
    ("openai/text-embedding-3-small", Usage(input=8), "0.000000160000"),
    ("openai/gpt-4o-audio-preview", None, None),
    (
        "openai/gpt-4o-audio-preview-2025-06-03",
        Usage(input=100, audio_input=50, output=10, audio_output=20),
        "0.003950000000",
    ),
    # Reasoning has a price of its own, and is inside `output`
    ("dashscope/qwen-turbo", Usage(input=100, output=50, reasoning=30), "0.000024000000"),
    ("cohere/rerank-v3.5", Usage(searches=3), "0.006000000000"),
    ("sandbox/sandbox-chat", Usage(input=1000, cache_read=100, output=50), "0.000187500000"),
    ("sandbox/sandbox-long-500", Usage(input=1000), "0.000150000000"),
    ("sandbox/sandbox-embed", Usage(input=8), "0.000000160000"),
]


@pytest.mark.parametrize(("key", "usage", "amount"), GOLDEN)
def test_a_call_costs_what_the_list_price_says(key: str, usage: Usage | None, amount: str | None) -> None:
    provider, _, model = key.partition("/")
    found = shipped().sheet(provider, model, NOW)
    if usage is None:
        assert found is None
        return
    assert found is not None
    cost = found.cost(usage)
    assert cost.pico is not None
    assert usd(cost.pico) == amount


def test_the_price_rows_that_were_used_are_named_the_standard_one_first() -> None:
    found = shipped().sheet("openai", "gpt-4o-mini", NOW)
    assert found is not None
    standard, batch = (price_id("openai", "gpt-4o-mini", tier).hex for tier in ("", "batch"))
    assert found.cost(Usage(input=1, output=1)).price_ids == (standard,)
    assert found.cost(Usage(input=1, output=1, tier="batch")).price_ids == (batch,)
    assert found.cost(Usage(input=1, cache_read=1, tier="batch")).price_ids == (standard, batch)


def test_what_was_used_and_has_no_price_makes_the_call_unpriced_and_not_free() -> None:
    found = sheet(row(input="2"))
    assert found.cost(Usage(input=10)).pico == 20_000_000
    cost = found.cost(Usage(output=1))
    assert (cost.pico, cost.price_ids, cost.missing) == (None, (), "output")
    cost = found.cost(Usage(input=10, output=1))
    assert (cost.pico, cost.price_ids, cost.missing) == (20_000_000, tuple(row.id for row in found.rows), "output")
    assert found.cost(Usage(input=10, searches=1)).missing == "searches"
    assert found.cost(Usage(input=10, images=1)).missing == "images"
    assert found.cost(Usage(seconds=3)).missing == "seconds"
    assert found.cost(Usage(input=10, output=0, images=0)).pico == 20_000_000


def test_searches_without_a_price_are_not_covered_by_a_price_of_tokens() -> None:
    found = sheet(row(input="2", output="8"))
    assert found.bound(input_tokens=10, output_tokens=5) is not None
    assert found.bound(input_tokens=10, output_tokens=5, searches=1) is None


def test_a_price_of_zero_is_free_which_is_different_from_none() -> None:
    found = sheet(row(input="0", output="0"))
    assert found.cost(Usage(input=10, output=5)).pico == 0
    assert found.bound(input_tokens=10, output_tokens=5) == 0
    assert sheet(row(input="0")).bound(input_tokens=10, output_tokens=5) is None


def test_a_picture_told_in_tokens_is_not_billed_by_the_piece_as_well() -> None:
    tokens = sheet(row(input="5", image_output="40"))
    assert tokens.cost(Usage(input=10, image_output=100, images=1)).pico == 4_050_000_000
    pieces = sheet(row(per_image="40000"))
    assert pieces.cost(Usage(input=10, output=100, images=2)).pico == 80_000_000_000
    assert pieces.cost(Usage(input=10, output=100)).missing == "input"


@pytest.mark.parametrize("word", ["", "default", "standard", "auto", "on_demand", "Standard", " DEFAULT "])
def test_providers_words_for_the_standard_tier_mean_it(word: str) -> None:
    found = sheet(row(input="1", output="1"), row(tier="priority", input="2", output="2"))
    cost = found.cost(Usage(input=10, tier=word))
    assert (cost.pico, cost.unknown_tier) == (10_000_000, "")


def test_a_tier_that_no_row_is_for_is_never_billed_below_the_dearest() -> None:
    found = sheet(row(input="1"), row(tier="flex", input="0.5"), row(tier="priority", input="2"))
    cost = found.cost(Usage(input=10, tier="scale"))
    assert (cost.pico, cost.unknown_tier) == (20_000_000, "scale")
    assert found.cost(Usage(input=10, tier="ultrafast")).pico == 20_000_000
    assert (
        found.cost(Usage(input=10, tier="batch")).pico == 10_000_000
    )  # cheaper by its nature: the standard price will do


def test_reasoning_beside_the_output_instead_of_inside_is_not_free() -> None:
    found = sheet(row(input="1", output="10"))
    assert found.cost(Usage(reasoning=5)).pico == 50_000_000
    assert found.cost(Usage(output=2, reasoning=5)).pico == 50_000_000


prices = st.integers(0, 10**9)  # pico-USD per unit: up to 1000 USD per million
counts = st.none() | st.integers(0, 10**6)


@st.composite
def sheets(draw: st.DrawFn) -> PriceSheet:
    """Sheets of up to five tiers and three thresholds, with some kinds priced in each."""
    others = [(tier, above) for tier in ("", *TIERS) for above in (0, 1000, 200_000)][1:]
    places = [("", 0), *(place for place in others if draw(st.booleans()))]
    rows = []
    for position, (tier, above) in enumerate(places):
        kinds = draw(st.sets(st.sampled_from(KINDS), min_size=1))
        rows.append(Row(f"{position:032x}", tier, above, 0.0, {kind: draw(prices) for kind in sorted(kinds)}))
    return PriceSheet(rows)


@st.composite
def usages(draw: st.DrawFn, tiers: tuple[str, ...] = ("", *TIERS, "fast", "scale")) -> Usage:
    facts: dict[str, Any] = {bucket: draw(counts) for bucket in TOKEN_BUCKETS if bucket != "reasoning"}
    facts["reasoning"] = draw(st.none() | st.integers(0, facts["output"] or 0))
    for measure in ("images", "seconds", "characters", "searches"):
        facts[measure] = draw(st.none() | st.integers(0, 1000))
    return Usage(**facts, tier=draw(st.sampled_from(tiers)))


@settings(max_examples=150, deadline=None)
@given(usages(("",)), usages(("",)), st.dictionaries(st.sampled_from(KINDS), prices))
def test_what_two_calls_cost_is_what_both_cost_together(one: Usage, other: Usage, some: dict[str, int]) -> None:
    found = PriceSheet([Row("0" * 32, "", 0, 0.0, dict.fromkeys(KINDS, 7) | some | {"per_request": 0})])
    names = (*TOKEN_BUCKETS, "images", "seconds", "characters", "searches")
    both = Usage(**{name: (getattr(one, name) or 0) + (getattr(other, name) or 0) for name in names})
    apart = [found.cost(usage).pico or 0 for usage in (one, other)]
    assert sum(apart) == found.cost(both).pico


@settings(max_examples=400, deadline=None)
@given(sheets(), usages(), st.sampled_from(["", *TIERS, "fast", "scale", "auto"]), st.data())
def test_no_call_within_its_bound_costs_more_than_it(
    found: PriceSheet, usage: Usage, asked: str, data: st.DataObject
) -> None:
    served = data.draw(st.sampled_from([asked, ""]))
    usage = msgspec.structs.replace(usage, tier=served)
    told = found.cost(usage)
    cost = None if told.missing else told.pico
    tokens_in = sum(
        getattr(usage, name) or 0
        for name in (
            "input",
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "audio_input",
            "audio_cache_read",
            "image_input",
            "image_cache_read",
        )
    )
    tokens_out = sum(getattr(usage, name) or 0 for name in ("output", "audio_output", "image_output"))
    spare = data.draw(st.integers(0, 10**6))
    bound = found.bound(
        input_tokens=tokens_in + spare,
        output_tokens=tokens_out + spare,
        tier=asked,
        audio=True,
        images=True,
        pictures=usage.images or 0,
        seconds=usage.seconds or 0,
        characters=usage.characters or 0,
        searches=usage.searches or 0,
    )
    if cost is not None and bound is not None:
        assert bound >= cost
    if cost is not None and not spare:
        assert bound is not None


@settings(max_examples=300, deadline=None)
@given(sheets(), usages())
def test_the_rows_named_are_enough_to_compute_the_amount_again(found: PriceSheet, usage: Usage) -> None:
    cost = found.cost(usage)
    if cost.pico is None:
        return
    named = [known for known in found.rows if known.id in cost.price_ids]
    again = PriceSheet(named).cost(usage)
    assert again.pico == cost.pico


def test_every_shipped_model_that_is_billed_in_tokens_has_a_cost_and_a_bound_in_every_tier() -> None:
    chats = [seed for seed in seed_rows() if not seed.tier and not seed.above_input_tokens and "output" in seed.prices]
    assert len(chats) > 500
    for seed in chats:
        found = shipped().sheet(seed.provider, seed.model, NOW)
        assert found is not None
        for tier in ("", *TIERS):
            cost = found.cost(Usage(input=300_000, cache_read=5, output=1000, tier=tier)).pico
            bound = found.bound(input_tokens=300_005, output_tokens=1000, tier=tier)
            if "input" in seed.prices:
                assert cost is not None
                assert bound is not None
                assert bound >= cost


def test_every_shipped_price_is_a_whole_number_of_pico_usd_per_unit() -> None:
    for seed in seed_rows():
        assert all(pico_per_unit(price) >= 0 for price in seed.prices.values())
