"""What a token may do: no layer widens what a wider one restricts, and "not set" is never 0."""

import fnmatch
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.policies.effective import (
    DEFAULTS,
    LAYERS,
    SAFEGUARDS,
    EffectivePolicy,
    Limit,
    Rules,
    Source,
    effective_policy,
)
from apps.policies.patterns import NamePatterns, exact_names, name_patterns

SUBJECTS = {"token": "a" * 32, "service": "b" * 32, "organization": "c" * 32, "installation": "c" * 32}
MADRID = ZoneInfo("Europe/Madrid")


def rules(layer: str, *, inline: bool = False, **fields: object) -> Rules:
    name = "" if inline else f"{layer} policy"
    return Rules(policy_id="0" * 32, name=name, layer=layer, inline=inline, subject=SUBJECTS[layer], **fields)


def limits(policy: EffectivePolicy) -> dict[tuple[str, str, str], int]:
    return {(limit.scope, limit.subject, limit.kind): limit.limit for limit in policy.limits}


# --- What any set of layers keeps to ---

NAMES = st.text("aAbß-5*?[]!", max_size=8)
SOME_NAMES = st.lists(NAMES.filter(bool), max_size=3).map(tuple)
COUNTS = st.none() | st.integers(0, 3)
PROVIDERS = st.lists(st.sampled_from(["openai", "OpenAI", "sandbox"]), max_size=2).map(tuple)
ENDPOINTS = st.lists(st.sampled_from(["chat_completions", "models"]), max_size=2).map(tuple)
NETWORKS = st.lists(st.sampled_from(["10.0.0.0/8", "0.0.0.0/0", "::/0", "192.0.2.7/32"]), max_size=2).map(tuple)
HOURS = st.lists(st.sampled_from(["mon-fri 08:00-18:00", "22:00-06:00", "sun 00:00-24:00"]), max_size=2).map(tuple)
FIELDS = {
    "allowed_models": SOME_NAMES,
    "denied_models": SOME_NAMES,
    "allowed_providers": PROVIDERS,
    "denied_providers": PROVIDERS,
    "allowed_endpoints": ENDPOINTS,
    "denied_endpoints": ENDPOINTS,
    "allowed_networks": NETWORKS,
    "allowed_hours": HOURS,
    "requests_per_minute": COUNTS,
    "tokens_per_minute": COUNTS,
    "concurrent_requests": COUNTS,
    "end_user_requests_per_minute": COUNTS,
    "end_user_tokens_per_minute": COUNTS,
    "end_user_concurrent_requests": COUNTS,
    "max_input_tokens": COUNTS,
    "max_output_tokens": COUNTS,
    "unpriced": st.sampled_from(["", "deny", "allow"]),
    "store_failure": st.sampled_from(["", "open", "closed"]),
    "fallback_on": st.sampled_from([(), ("content_filter",), ("context_length", "content_filter")]),
    "hedge_after": COUNTS,
    "untranslatable": st.sampled_from(["", "strict", "warn", "drop"]),
    "hide_served": st.none() | st.booleans(),
    "cache": st.none() | st.booleans(),
    "cache_seconds": COUNTS,
}
PLACES = [(layer, inline) for layer in LAYERS for inline in (True, False)]


@st.composite
def layer_sets(draw: st.DrawFn) -> list[Rules]:
    places = draw(st.lists(st.sampled_from(PLACES), unique=True))
    return [rules(layer, inline=inline, **draw(st.fixed_dictionaries({}, optional=FIELDS))) for layer, inline in places]


def refusals(policy: EffectivePolicy, model: str, at: datetime) -> set[str]:
    asked = {
        f"model {model}": policy.model_denied(model),
        "hours": policy.hours_denied(at, MADRID),
        **{f"provider {name}": policy.provider_denied(name) for name in ("openai", "sandbox", "azure_openai")},
        **{f"endpoint {name}": policy.endpoint_denied(name) for name in ("chat_completions", "models", "responses")},
        **{f"from {address}": policy.network_denied(address) for address in ("10.1.2.3", "192.0.2.7", "::1", "")},
    }
    return {question for question, denial in asked.items() if denial is not None}


@given(
    layer_sets(), NAMES, st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
)
def test_adding_a_layer_never_allows_what_was_refused(layers: list[Rules], model: str, at: datetime) -> None:
    whole = effective_policy(layers)
    for some in combinations(layers, max(0, len(layers) - 1)):
        fewer = effective_policy(some)
        assert refusals(fewer, model, at) <= refusals(whole, model, at)
        for cap in ("max_input_tokens", "max_output_tokens"):
            before, after = getattr(fewer, cap), getattr(whole, cap)
            assert before is None or (after is not None and after <= before)


@given(layer_sets())
def test_no_place_lifts_the_limit_of_another(layers: list[Rules]) -> None:
    """At one place its own rules come before its policy; between places nothing is ever lifted."""
    whole = limits(effective_policy(layers))
    for gone in LAYERS:
        fewer = limits(effective_policy([layer for layer in layers if layer.layer != gone]))
        for key, limit in fewer.items():
            assert whole[key] <= limit


@given(layer_sets())
def test_the_order_in_which_layers_come_does_not_matter(layers: list[Rules]) -> None:
    one, other = effective_policy(layers), effective_policy(layers[::-1])
    for name in ("layers", "max_input_tokens", "max_output_tokens", "unpriced", "cache", "limits", "sources"):
        assert getattr(one, name) == getattr(other, name)


@given(layer_sets())
def test_every_value_that_is_set_names_a_layer_that_sets_it(layers: list[Rules]) -> None:
    policy = effective_policy(layers)
    for name, source in policy.sources.items():
        value = getattr(policy, name)
        if source.layer == "default":
            assert value == DEFAULTS[name]
        else:
            places = [row for row in layers if (row.layer, row.name) == (source.layer, source.policy)]
            assert value in [getattr(row, name) for row in places]
    for limit in policy.limits:
        fields = [row for row in layers if (row.layer, row.name) == (limit.layer, limit.policy_name)]
        assert len(fields) == 1
        assert fields[0].subject == limit.subject


@given(layer_sets())
def test_an_open_policy_refuses_nothing(layers: list[Rules]) -> None:
    policy = effective_policy(layers)
    if policy.is_open:
        assert refusals(policy, "gpt-5", datetime(2026, 1, 4, 3, tzinfo=UTC)) == set()


# --- Lists ---


def test_every_allow_list_must_allow_and_any_deny_list_denies() -> None:
    policy = effective_policy(
        [
            rules("organization", denied_models=("gpt-5*",)),
            rules("service", allowed_models=("gpt-*", "o3")),
            rules("token", inline=True, allowed_models=("*",)),
        ]
    )

    assert policy.model_denied("GPT-4o") is None
    refused = policy.model_denied("Gpt-5-mini")
    assert refused is not None
    assert refused.describe() == "the organization's policy “organization policy” (denied models: gpt-5*)"
    refused = policy.model_denied("o1")
    assert refused is not None
    assert refused.describe() == "the service's policy “service policy” (allowed models: gpt-*, o3)"


def test_inline_rules_are_called_the_places_own() -> None:
    refused = effective_policy([rules("token", inline=True, denied_endpoints=("models",))]).endpoint_denied("models")
    assert refused is not None
    assert refused.describe() == "the token's own rules (denied endpoints: models)"


def test_a_long_list_is_shown_in_short() -> None:
    refused = effective_policy([rules("token", allowed_models=tuple("abcdefg"))]).model_denied("z")
    assert refused is not None
    assert refused.describe().endswith("(allowed models: a, b, c, d, e and 2 more)")


@example("*ab*ba*", "aba")
@example("a*a", "a")
@example("*??*?", "aa")
@given(st.text("aAbß-5*?[]!\n", min_size=1, max_size=12), st.text("aAbßs-5*?[]!\n", max_size=12))
def test_patterns_mean_what_a_shell_means_but_for_brackets(pattern: str, name: str) -> None:
    literal = pattern.casefold().replace("[", "[[]")
    expected = re.fullmatch(fnmatch.translate(literal), name.casefold()) is not None
    assert (NamePatterns([pattern], globs=True).match(name) == pattern) is expected


def test_a_pattern_in_a_list_of_names_is_a_name() -> None:
    assert exact_names(("*",)).match("openai") is None
    assert exact_names(("OpenAI",)).match("openai") == "OpenAI"


def test_no_pattern_makes_the_gateway_slow() -> None:
    """Where a regular expression would try every way to share the letters out."""
    patterns = name_patterns(tuple(f"{'*a' * 60}*{number}b" for number in range(20)))
    began = time.perf_counter()
    assert patterns.match("a" * 255) is None
    assert time.perf_counter() - began < 0.1


def test_thousands_of_patterns_are_asked_once_per_name() -> None:
    twenty = effective_policy([rules("token", denied_models=tuple(f"model-{number}-*" for number in range(20)))])
    many = effective_policy([rules("token", denied_models=tuple(f"model-{number}-*" for number in range(5_000)))])
    began = time.perf_counter()
    assert many.model_denied("gpt-4o") is None
    assert time.perf_counter() - began < 0.1
    for policy in (twenty, many):
        policy.model_denied("gpt-4o")
        best = min(_seconds(policy) for _ in range(20))
        assert best < 5e-6


def _seconds(policy: EffectivePolicy) -> float:
    began = time.perf_counter()
    for _ in range(200):
        policy.model_denied("gpt-4o")
    return (time.perf_counter() - began) / 200


def test_names_that_clients_invent_do_not_fill_the_memory() -> None:
    policy = effective_policy([rules("token", denied_models=("x*",))])
    for number in range(5_000):
        assert policy.model_denied(f"x{number}") is not None
        assert policy.model_denied(f"y{number}") is None
    assert len(policy._models._answers) <= 512


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.0.0.1", True),
        ("::ffff:10.0.0.1", True),
        ("11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_calls_come_from_allowed_networks_alone(address: str, allowed: bool) -> None:
    policy = effective_policy([rules("service", allowed_networks=("10.0.0.0/8", "2001:db8::/32"))])
    assert (policy.network_denied(address) is None) is allowed


def test_entries_that_cannot_be_read_allow_nothing() -> None:
    policy = effective_policy([rules("token", allowed_networks=("10.0.0.0/99",), allowed_hours=("always",))])
    assert policy.network_denied("10.0.0.1") is not None
    assert policy.hours_denied(datetime.now(UTC), MADRID) is not None


def test_hours_are_the_organizations() -> None:
    policy = effective_policy([rules("organization", allowed_hours=("mon-fri 08:00-18:00", "sat 10:00-14:00"))])
    at = datetime(2026, 7, 1, 6, 30, tzinfo=UTC)  # a Wednesday
    assert policy.hours_denied(at, MADRID) is None
    assert policy.hours_denied(at, ZoneInfo("Europe/London")) is not None


# --- Counts: not set, 0, and who is narrower ---


@pytest.mark.parametrize("name", ["max_input_tokens", "max_output_tokens", "cache_seconds"])
def test_zero_is_set_and_none_is_not(name: str) -> None:
    assert getattr(effective_policy([]), name) is None
    zero = effective_policy([rules("token", **{name: 0}), rules("service")])
    assert getattr(zero, name) == 0
    assert zero.sources[name] == Source("token", "token policy")
    assert name not in effective_policy([rules("token", **{name: None})]).sources


def test_a_limit_of_zero_is_a_limit() -> None:
    assert effective_policy([rules("token", requests_per_minute=None)]).limits == ()
    (limit,) = effective_policy([rules("token", requests_per_minute=0)]).limits
    assert limit == Limit("token", SUBJECTS["token"], "requests", 0, "token", "token policy")


def test_the_narrowest_cap_holds_and_names_its_layer() -> None:
    token, organization = rules("token", max_output_tokens=900), rules("organization", max_output_tokens=500)
    policy = effective_policy([token, organization])
    assert policy.max_output_tokens == 500
    assert policy.sources["max_output_tokens"].describe() == "the organization's policy “organization policy”"
    equal = effective_policy([replace(token, max_output_tokens=500), organization])
    assert equal.sources["max_output_tokens"] == Source("token", "token policy")


def test_limits_hold_at_the_place_they_are_attached_to() -> None:
    policy = effective_policy(
        [
            rules("token", requests_per_minute=10),
            rules("service", requests_per_minute=5, tokens_per_minute=1_000),
            rules("organization", concurrent_requests=3, end_user_requests_per_minute=2),
        ]
    )
    assert {(limit.scope, limit.subject, limit.kind, limit.limit) for limit in policy.limits} == {
        ("token", SUBJECTS["token"], "requests", 10),
        ("service", SUBJECTS["service"], "requests", 5),
        ("service", SUBJECTS["service"], "tokens", 1_000),
        ("organization", SUBJECTS["organization"], "concurrency", 3),
        ("end_user", SUBJECTS["organization"], "requests", 2),
    }


def test_at_one_place_its_own_rules_come_before_its_policy() -> None:
    own, policy = rules("token", inline=True, requests_per_minute=20), rules("token", requests_per_minute=10)
    assert limits(effective_policy([policy, own])) == {("token", own.subject, "requests"): 20}
    unset = replace(own, requests_per_minute=None)
    assert limits(effective_policy([policy, unset])) == {("token", own.subject, "requests"): 10}


@pytest.mark.parametrize(("own", "of_all", "expected"), [(5, 9, (5, "organization")), (9, 5, (5, "installation"))])
def test_an_organization_never_widens_the_installations_limit(own: int, of_all: int, expected: tuple[int, str]) -> None:
    for name in ("requests_per_minute", "end_user_requests_per_minute"):
        (limit,) = effective_policy(
            [rules("organization", **{name: own}), rules("installation", **{name: of_all})]
        ).limits
        assert (limit.limit, limit.layer) == expected
        assert limit.subject == SUBJECTS["organization"]


def test_each_place_counts_its_end_users_apart() -> None:
    policy = effective_policy([rules(layer, end_user_tokens_per_minute=7) for layer in LAYERS])
    assert [(limit.scope, limit.subject, limit.layer) for limit in policy.limits] == [
        ("end_user", SUBJECTS["token"], "token"),
        ("end_user", SUBJECTS["service"], "service"),
        ("end_user", SUBJECTS["organization"], "organization"),
    ]


# --- Choices ---


def test_the_first_layer_that_chooses_wins() -> None:
    policy = effective_policy(
        [rules("installation", cache=True, preferred_provider="openai"), rules("service", cache=False)]
    )
    assert (policy.cache, policy.preferred_provider) == (False, "openai")
    assert policy.sources["cache"] == Source("service", "service policy")
    assert policy.pinned_credential == ""


def test_a_narrower_place_says_after_what_the_next_route_is_tried_and_when_a_second_is_asked() -> None:
    wide = rules("organization", fallback_on=("content_filter",), hedge_after=500, hide_served=True)
    assert effective_policy([wide]).fallback_on == ("content_filter",)
    narrow = effective_policy([wide, rules("token", fallback_on=("context_length",), hedge_after=0, hide_served=False)])
    assert (narrow.fallback_on, narrow.hedge_after, narrow.hide_served) == (("context_length",), 0, False)
    assert effective_policy([]).fallback_on == ()


def test_what_becomes_of_failures_and_answers_restricts_nothing() -> None:
    """No question is asked of lists that say something else than who may call what."""
    said = {"fallback_on": ("content_filter",), "hedge_after": 5, "untranslatable": "strict", "hide_served": True}
    assert effective_policy([rules("token", **said)]).is_open


@pytest.mark.parametrize(("field", "order"), SAFEGUARDS.items())
def test_a_safeguard_is_as_strict_as_any_layer_asks_for(field: str, order: tuple[str, ...]) -> None:
    for strict, lax in pairwise(order):
        for wide, narrow in ((strict, lax), (lax, strict)):
            policy = effective_policy([rules("installation", **{field: wide}), rules("token", **{field: narrow})])
            assert getattr(policy, field) == strict
            assert policy.sources[field].layer == ("installation" if wide == strict else "token")
    alone = effective_policy([rules("token", **{field: order[-1]})])
    assert getattr(alone, field) == order[-1]


def test_a_safeguard_that_nobody_asks_for_has_a_default() -> None:
    policy = effective_policy([])
    assert (policy.unpriced, policy.hold_estimate, policy.store_failure) == ("deny_with_budget", "worst_case", "closed")
    assert policy.untranslatable == "warn"
    assert policy.sources["store_failure"].describe() == "the default"
