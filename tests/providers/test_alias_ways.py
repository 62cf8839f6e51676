"""Which credentials serve a name: in tiers by priority and target, with shares as whole numbers, each once."""

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from apps.providers.aliases.names import AliasRule, Target
from apps.providers.aliases.ways import Stock, Way
from apps.providers.listing.names import Listing
from apps.providers.model_rows import ModelRow


@dataclass(frozen=True)
class Account:
    id: str
    provider: str = "openai"
    rank: tuple[bool, int] = (False, 100)
    weight: int | None = None
    listing: Listing | None = None


A, B, C = Account("a"), Account("b"), Account("c", provider="anthropic")
ROWS = [ModelRow(provider="openai", name="gpt"), ModelRow(provider="anthropic", name="claude")]


def stock(*offers: Account, rows: list[ModelRow] = ROWS, off: tuple[ModelRow, ...] = ()) -> Stock[Account]:
    return Stock(rows, off, offers)


def shown(ways: tuple[Way[Account], ...]) -> list[str]:
    """a/gpt@0:1: credential, upstream name, tier, weight."""
    return [f"{way.offer.id}/{way.row.upstream}@{way.tier}:{way.weight}" for way in ways]


def rule(*targets: Target, strategy: str = "ordered") -> AliasRule:
    return AliasRule(name="fast", targets=targets, strategy=strategy)


def test_without_weights_each_credential_has_a_tier_of_its_own() -> None:
    assert shown(stock(A, B).ways("gpt")) == ["a/gpt@0:1", "b/gpt@1:1"]


def test_with_a_weight_those_of_one_priority_share_a_tier() -> None:
    heavy, late = Account("b", weight=3), Account("d", rank=(False, 200))
    assert shown(stock(A, heavy, late).ways("gpt")) == ["a/gpt@0:1", "b/gpt@0:3", "d/gpt@1:1"]


def test_an_organizations_own_and_the_installations_never_share() -> None:
    own, shared = Account("a", weight=1), Account("b", weight=9, rank=(True, 100))
    assert shown(stock(own, shared).ways("gpt")) == ["a/gpt@0:1", "b/gpt@1:9"]


def test_a_credential_counts_once_by_the_first_row_that_it_serves() -> None:
    rows = [ModelRow(provider="openai", name="gpt", upstream_name="one"), ModelRow(provider="openai", name="gpt")]
    assert shown(stock(A, rows=rows).ways("gpt")) == ["a/one@0:1"]


def test_a_model_under_another_name_is_denied_as_what_it_is() -> None:
    row = ModelRow(provider="openai", name="harmless", upstream_name="gpt-5-pro-2026-03-05")
    for name in ("harmless", "openai/harmless", "gpt-5-pro-2026-03-05", "gpt-5-pro", "openai/gpt-5-pro"):
        assert name in row.names
    assert ModelRow(provider="openai", name="gpt-5-pro-2026-03-05").names == (
        "gpt-5-pro-2026-03-05",
        "openai/gpt-5-pro-2026-03-05",
    )


HOUSE = Account("h", rank=(True, 100))


def test_the_installations_credential_charges_as_the_installation_lists_the_model() -> None:
    listed = ModelRow(provider="openai", name="dear", upstream_name="gpt", priced_as="gpt-5-pro")
    own = ModelRow(provider="openai", name="mine", upstream_name="gpt", priced_as="cheap", is_own=True)
    other = ModelRow(provider="openai", name="yours", upstream_name="unheard-of", priced_as="cheap", is_own=True)
    offered = stock(A, HOUSE, rows=[listed, own, other])
    priced = {
        (way.offer.id, name): way.row.book_names for name in ("mine", "yours", "dear") for way in offered.ways(name)
    }
    assert priced == {
        ("a", "mine"): ("gpt", "cheap"),
        ("h", "mine"): ("gpt", "gpt-5-pro"),
        ("a", "yours"): ("unheard-of", "cheap"),
        ("h", "yours"): ("unheard-of",),
        ("a", "dear"): ("gpt", "gpt-5-pro"),
        ("h", "dear"): ("gpt", "gpt-5-pro"),
    }


def test_an_azure_deployment_has_the_price_that_the_installation_gives_it() -> None:
    house = Account("h", provider="azure_openai", rank=(True, 100))
    listed = ModelRow(provider="azure_openai", name="gpt-5-pro", upstream_name="prod")
    own = ModelRow(provider="azure_openai", name="gpt-5-nano", upstream_name="prod", is_own=True)
    (way,) = stock(house, rows=[listed, own]).ways("gpt-5-nano")
    assert way.row.book_names == ("gpt-5-pro",)


def test_what_the_installation_has_switched_off_its_credentials_do_not_serve_under_another_name() -> None:
    off = (ModelRow(provider="openai", name="gpt-5-pro"),)
    rows = [
        ModelRow(provider="openai", name=name, upstream_name=upstream, is_own=True)
        for name, upstream in (("mine", "gpt-5-pro"), ("dated", "gpt-5-pro-2026-03-05"))
    ]
    offered = stock(A, HOUSE, rows=rows, off=off)
    for name in ("mine", "dated"):
        assert [way.offer.id for way in offered.ways(name)] == ["a"], name


def test_a_row_of_one_credential_is_served_by_it_alone() -> None:
    rows = [ModelRow(provider="openai", name="gpt", credential="b")]
    assert shown(stock(A, B, rows=rows).ways("gpt")) == ["b/gpt@0:1"]


def test_ordered_targets_are_asked_to_the_end_one_after_the_other() -> None:
    made = rule(Target(model="gpt", tier=1), Target(model="claude", tier=1))
    assert shown(stock(A, B, C).alias_ways(made, "")) == ["a/gpt@0:1", "b/gpt@1:1", "c/claude@2:1"]


def test_weighted_targets_compete_by_the_best_of_each() -> None:
    made = rule(Target(model="gpt", weight=3), Target(model="claude", weight=1), strategy="weighted")
    assert shown(stock(A, B, C).alias_ways(made, "")) == ["a/gpt@0:3", "c/claude@0:1", "b/gpt@1:1"]


def test_a_targets_share_is_shared_by_its_credentials() -> None:
    one, two = Account("a", weight=2), Account("b", weight=1)
    made = rule(Target(model="gpt", weight=3), Target(model="claude", weight=1), strategy="weighted")
    assert shown(stock(one, two, C).alias_ways(made, "")) == ["a/gpt@0:2", "b/gpt@0:1", "c/claude@0:1"]


def test_a_later_tier_comes_after_all_of_an_earlier_one() -> None:
    made = rule(Target(model="gpt", tier=2), Target(model="claude", tier=1), strategy="weighted")
    targets = tuple(sorted(made.targets, key=lambda target: target.tier))
    assert shown(stock(A, C).alias_ways(rule(*targets, strategy="weighted"), "")) == ["c/claude@0:1", "a/gpt@1:1"]


def test_a_target_of_one_credential_is_asked_of_it_alone() -> None:
    assert shown(stock(A, B).alias_ways(rule(Target(model="gpt", credential="b")), "")) == ["b/gpt@0:1"]


def test_a_target_that_names_its_provider_need_not_be_listed() -> None:
    assert shown(stock(A, C).alias_ways(rule(Target(model="openai/gpt-new")), "")) == ["a/gpt-new@0:1"]
    assert shown(stock(A, C).alias_ways(rule(Target(model="openai/*")), "gpt-new")) == ["a/gpt-new@0:1"]
    assert shown(stock(A, C).alias_ways(rule(Target(model="gpt-new", credential="a")), "")) == ["a/gpt-new@0:1"]


def test_a_target_that_names_neither_must_be_listed() -> None:
    assert shown(stock(A, C).alias_ways(rule(Target(model="gpt-new")), "")) == []


def test_what_is_listed_and_disabled_is_not_asked_for_by_a_target_either() -> None:
    off = (ModelRow(provider="openai", name="gpt-old", upstream_name="gpt-3"),)
    for name in ("gpt-old", "gpt-3"):
        assert shown(stock(A, off=off).alias_ways(rule(Target(model=f"openai/{name}")), "")) == []


def test_a_listed_model_of_one_credential_is_not_asked_of_others_by_the_providers_name() -> None:
    rows = [ModelRow(provider="openai", name="gpt", credential="gone")]
    assert shown(stock(A, rows=rows).alias_ways(rule(Target(model="openai/gpt")), "")) == []
    assert shown(stock(A, rows=rows).alias_ways(rule(Target(model="gpt", credential="a")), "")) == ["a/gpt@0:1"]


def test_a_credential_of_another_provider_makes_no_way() -> None:
    assert shown(stock(A, C).alias_ways(rule(Target(model="openai/gpt", credential="c")), "")) == []
    assert shown(stock(A).alias_ways(rule(Target(model="gpt", credential="gone")), "")) == []


# --- What nobody has listed ---


def test_a_name_that_is_not_listed_goes_to_all_credentials_of_its_provider() -> None:
    late = Account("d", rank=(True, 100))
    assert shown(stock(A, B, C, late).unlisted_ways("gpt-new", "openai")) == [
        "a/gpt-new@0:1",
        "b/gpt-new@1:1",
        "d/gpt-new@2:1",
    ]


def test_its_provider_is_the_one_that_is_named_or_that_documents_the_prefix() -> None:
    made = stock(A, C)
    assert made.owner_of("", "gpt-new") == made.owner_of("openai", "whatever") == "openai"
    assert made.owner_of("", "claude-new") == "anthropic"
    assert made.owner_of("", "whatever") == ""


def test_without_a_credential_of_its_provider_nobody_is_asked() -> None:
    assert stock(C).owner_of("", "gpt-new") == stock(C).owner_of("openai", "gpt-new") == ""


def test_a_provider_whose_credentials_are_all_drained_is_still_the_one() -> None:
    made = Stock(ROWS, (), [C], ["openai", "anthropic"])
    assert made.owner_of("", "gpt-new") == "openai"
    assert made.unlisted_ways("gpt-new", "openai") == ()


def test_those_whose_names_are_their_operators_are_never_asked() -> None:
    for provider in ("azure_openai", "ollama", "openai_compatible", "sandbox"):
        made = stock(Account("z", provider=provider))
        assert made.owner_of(provider, "gpt-new") == made.owner_of("", "gpt-new") == ""


def test_what_is_disabled_stays_so_under_every_spelling() -> None:
    off = (ModelRow(provider="openai", name="gpt-old", upstream_name="gpt-3"),)
    made = stock(A, off=off)
    for name in ("gpt-old", "gpt-3", "gpt-old-2030-01-01"):
        assert made.owner_of("openai", name) == made.owner_of("", name) == ""
    assert made.owner_of("openai", "ft:gpt-old:acme") == ""
    assert made.owner_of("", "gpt-older") == "openai"
    elsewhere = stock(A, off=(ModelRow(provider="azure_openai", name="gpt-old"),))
    assert (elsewhere.owner_of("", "gpt-old"), elsewhere.owner_of("openai", "gpt-old")) == ("", "openai")


def test_deny_lists_know_it_by_what_it_is_a_spelling_of() -> None:
    (way,) = stock(A).unlisted_ways("gpt-4o-2030-01-01", "openai")
    assert way.names[0] == "gpt-4o-2030-01-01"
    assert {"gpt-4o", "openai/gpt-4o", "openai/gpt-4o-2030-01-01"} <= set(way.names)
    router = Account("r", provider="openrouter")
    (way,) = stock(router).unlisted_ways("openai/gpt-4o:free", "openrouter")
    assert {"gpt-4o", "openrouter/openai/gpt-4o:free"} <= set(way.names)
    (listed,) = stock(A, rows=[ModelRow(provider="openai", name="gpt-4o-2030-01-01")]).ways("gpt-4o-2030-01-01")
    assert "gpt-4o" not in listed.names


ACCOUNTS = st.lists(
    st.tuples(st.sampled_from(["openai", "anthropic"]), st.integers(1, 3), st.none() | st.integers(1, 5)), max_size=5
).map(
    lambda each: [
        Account(str(place), provider, (False, priority), weight)
        for place, (provider, priority, weight) in enumerate(sorted(each, key=lambda entry: entry[1]))
    ]
)
TARGETS = st.lists(
    st.builds(
        Target,
        model=st.sampled_from(["gpt", "claude", "openai/gpt", "openai/new", "nowhere"]),
        credential=st.sampled_from(["", "", "0", "3"]),
        tier=st.integers(1, 3),
        weight=st.integers(1, 7),
    ),
    max_size=5,
).map(lambda targets: tuple(sorted(targets, key=lambda target: target.tier)))


@given(ACCOUNTS, TARGETS, st.sampled_from(["ordered", "weighted", "least_busy"]))
def test_ways_are_in_tiers_without_gaps_and_nobody_is_asked_twice(
    accounts: list[Account], targets: tuple[Target, ...], strategy: str
) -> None:
    ways = stock(*accounts).alias_ways(rule(*targets, strategy=strategy), "")
    tiers = [way.tier for way in ways]
    assert tiers == sorted(tiers)
    assert set(tiers) == set(range(len(set(tiers))))
    assert len({way.key for way in ways}) == len(ways)
    assert all(way.weight >= 1 and way.offer.provider == way.row.provider for way in ways)


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000)), min_size=2, max_size=2), st.integers(1, 1000))
def test_shares_are_exact(targets: list[tuple[int, int]], weight: int) -> None:
    """A target's weight is its credentials' together, whatever theirs are."""
    (first, one), (second, two) = targets
    accounts = (Account("a", weight=one), Account("b", weight=two), C)
    made = rule(Target(model="gpt", weight=first), Target(model="claude", weight=second), strategy="weighted")
    by_id = {way.offer.id: way.weight for way in stock(*accounts).alias_ways(made, "")}
    assert Fraction(by_id["a"] + by_id["b"], by_id["c"]) == Fraction(first, second)
    assert Fraction(by_id["a"], by_id["b"]) == Fraction(one, two)
