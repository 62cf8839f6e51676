"""Which route comes first: by strategy within a tier, tiers in order, and what does not work after everything else."""

from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.attempts import Attempts
from apps.gateway.config import Timeouts
from apps.gateway.directory.views import CredentialView, Route, Strategy
from apps.gateway.health.failure import Failure, failure_in_stream, failure_of
from apps.gateway.health.health import Health
from apps.gateway.upstream.pool import Origin
from apps.providers.kinds import kind_of

STRATEGIES: tuple[Strategy, ...] = ("ordered", "weighted", "least_latency", "least_busy")
FAILS = Failure("failing", "upstream_500", status=500)


class Clock:
    """Time that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock=clock)


def route(name: str, *, tier: int = 0, weight: int = 1, model: str = "m", changed: int = 0, refused: str = "") -> Route:
    credential = CredentialView(
        id=name,
        provider="openai",
        label=name,
        base_url="https://api.example/v1",
        origin=Origin.of("https://api.example/v1"),
        timeouts=Timeouts(1, 1, 1, 1),
        kind=kind_of("openai"),
        changed=changed,
        refused=refused,
    )
    nothing = cast("Any", None)
    return Route(credential, model, {}, (), nothing, "", "", None, None, nothing, tier=tier, weight=weight)


def names(routes: list[Route]) -> str:
    return "".join(each.credential.label for each in routes)


def fails(health: Health, failing: Route, times: int = 3, failure: Failure = FAILS) -> None:
    for _ in range(times):
        health.failed(failing, failure, health.clock())


# --- Strategies ---


def test_ordered_routes_stay_as_they_are(health: Health) -> None:
    routes = [route("a", weight=1), route("b", weight=100), route("c", tier=1)]
    assert {names(health.ordered(routes)) for _ in range(50)} == {"abc"}


def test_weights_share_within_a_tier_and_never_across(health: Health) -> None:
    routes = [route("a", weight=3), route("b", weight=1), route("c", tier=1, weight=1000)]
    seen = Counter(names(health.ordered(routes, "weighted")) for _ in range(2000))
    assert set(seen) == {"abc", "bac"}
    assert 1350 < seen["abc"] < 1650  # 1500 on average


def test_of_three_that_share_each_position_is_drawn_by_weight(health: Health) -> None:
    routes = [route("a", weight=2), route("b", weight=1), route("c", weight=1)]
    seen = Counter(names(health.ordered(routes, "weighted")) for _ in range(4000))
    assert 1800 < seen["abc"] + seen["acb"] < 2200
    assert 550 < seen["bac"] < 790  # a quarter, of which two thirds


def test_the_quickest_comes_first_once_each_has_been_tried(health: Health, clock: Clock) -> None:
    routes = [route("a"), route("b"), route("c")]
    explored = [health.ordered(routes, "least_latency")[0] for _ in range(3)]
    assert sorted(names(explored)) == ["a", "b", "c"]
    for each, seconds in zip(routes, (0.3, 0.1, 0.2), strict=True):
        health.answered(each, seconds, stream=False)
    assert names(health.ordered(routes, "least_latency")) == "bca"
    for _ in range(30):
        health.answered(routes[1], 0.5, stream=False)
    assert names(health.ordered(routes, "least_latency")) == "cab"


def test_what_was_not_tried_for_a_minute_is_tried_by_one_call(health: Health, clock: Clock) -> None:
    routes = [route("a"), route("b")]
    health.answered(routes[0], 0.1, stream=False)
    health.answered(routes[1], 9.0, stream=False)
    clock.now += 30
    health.answered(routes[0], 0.1, stream=False)
    clock.now += 31
    first = [names(health.ordered(routes, "least_latency")) for _ in range(4)]
    assert first == ["ba", "ab", "ab", "ab"]


def test_streams_are_measured_apart(health: Health) -> None:
    routes = [route("a"), route("b")]
    for stream, seconds in ((True, (0.1, 0.2)), (False, (0.2, 0.1))):
        for each, took in zip(routes, seconds, strict=True):
            health.answered(each, took, stream=stream)
    assert names(health.ordered(routes, "least_latency", stream=True)) == "ab"
    assert names(health.ordered(routes, "least_latency", stream=False)) == "ba"


def test_the_least_busy_by_weight_comes_first(health: Health) -> None:
    routes = [route("a", weight=2), route("b", weight=1)]
    for _ in range(3):
        health.begins(routes[0], "least_busy")
    health.begins(routes[1], "least_busy")
    assert names(health.ordered(routes, "least_busy")) == "ba"  # 1.5 calls against 1
    health.begins(routes[1], "least_busy")
    assert names(health.ordered(routes, "least_busy")) == "ab"
    for _ in range(2):
        health.ends(routes[1], "least_busy", ())
    assert names(health.ordered(routes, "least_busy")) == "ba"


def test_of_equally_busy_ones_chance_decides(health: Health) -> None:
    routes = [route("a"), route("b")]
    assert {names(health.ordered(routes, "least_busy")) for _ in range(50)} == {"ab", "ba"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_does_not_work_comes_last_whatever_the_strategy(health: Health, strategy: Strategy) -> None:
    routes = [route("a"), route("b"), route("c", tier=1)]
    fails(health, routes[0])
    for _ in range(20):
        assert names(health.ordered(routes, strategy))[2] == "a"


def test_an_unknown_route_that_does_not_work_is_not_what_is_explored(health: Health) -> None:
    routes = [route("a"), route("b")]
    health.answered(routes[1], 5.0, stream=False)
    fails(health, routes[0])
    assert names(health.ordered(routes, "least_latency")) == "ba"


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=6),
    st.sampled_from(STRATEGIES),
    st.sets(st.integers(0, 5)),
)
def test_every_route_is_there_once_and_tiers_stay_in_order(
    shapes: list[tuple[int, int]], strategy: Strategy, broken: set[int]
) -> None:
    health = Health(clock=Clock())
    routes = sorted(
        (route(str(number), tier=tier, weight=weight) for number, (tier, weight) in enumerate(shapes)),
        key=lambda each: each.tier,
    )
    for number in broken & set(range(len(routes))):
        fails(health, routes[number])
    found = health.ordered(routes, strategy)
    assert sorted(names(found)) == sorted(names(routes))
    now = health.clock()
    if len(routes) > 1:
        assert [(health.is_last(each, now), each.tier) for each in found] == sorted(
            (health.is_last(each, now), each.tier) for each in found
        )


# --- What is held against whom ---


def test_a_failure_concerns_one_model_of_one_credential(health: Health) -> None:
    fails(health, route("a", model="m"))
    now = health.clock()
    assert health.is_last(route("a", model="m"), now)
    assert not health.is_last(route("a", model="n"), now)
    assert not health.is_last(route("b", model="m"), now)


@pytest.mark.parametrize(("status", "all_models"), [(400, True), (401, True), (402, True), (403, False), (0, False)])
def test_a_refused_key_concerns_all_models_and_a_forbidden_model_itself(
    health: Health, status: int, all_models: bool
) -> None:
    fails(health, route("a", model="m"), 1, Failure("refused", "upstream_auth_failed", status=status))
    now = health.clock()
    assert health.is_last(route("a", model="m"), now)
    assert health.is_last(route("a", model="n"), now) is all_models


@pytest.mark.parametrize("kind", ["content", "request"])
def test_what_callers_ask_is_never_held_against_a_route(health: Health, kind: Any) -> None:
    fails(health, route("a"), 20, Failure(kind, "x", status=400))
    assert not health.circuits


def test_a_changed_credential_begins_anew(health: Health) -> None:
    fails(health, route("a", changed=5))
    now = health.clock()
    assert health.is_last(route("a", changed=5), now)
    assert not health.is_last(route("a", changed=6), now)
    assert not health.circuits


def test_news_of_a_credential_are_told_once_a_minute(health: Health, clock: Clock) -> None:
    refused = Failure("refused", "upstream_auth_failed", status=401)
    fails(health, route("a"), 5, refused)
    clock.now += 30
    fails(health, route("a"), 5, refused)
    assert [(news.credential, news.status) for news in health.news] == [("a", 401)]
    clock.now += 31
    fails(health, route("a"), 1, refused)
    assert len(health.news) == 2


def test_an_answer_is_news_where_the_console_shows_a_refusal(health: Health, clock: Clock) -> None:
    health.succeeded(route("a"), clock.now)
    health.succeeded(route("a", refused="other"), clock.now)
    assert not health.news
    health.succeeded(route("a", refused="*"), clock.now)
    health.succeeded(route("b", refused="m"), clock.now)
    assert [(news.credential, news.model, news.status) for news in health.news] == [("a", "m", 0), ("b", "m", 0)]


def test_what_is_remembered_is_bounded(health: Health) -> None:
    for number in range(11_000):
        health.failed(route(str(number)), FAILS, health.clock())
    assert len(health.circuits) == 10_000


def test_what_says_nothing_any_more_is_let_go(health: Health, clock: Clock) -> None:
    fails(health, route("a"), 1)
    fails(health, route("b"), 1, Failure("limited", "x", 5.0, 429))
    clock.now += 61
    for each in ("a", "b"):
        assert not health.is_last(route(each), clock.now)
    health.forget_old()
    assert not health.circuits
    assert not health.labels


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, "failing"), (409, "request"), (429, "limited"), (500, "failing"), (503, "failing"), (529, "failing")],
)
def test_statuses_mean_what_they_mean(status: int, kind: str) -> None:
    assert failure_of(status, "x", 2.0).kind == kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("overloaded_error", "failing"),
        ("api_error", "failing"),
        ("server_error", "failing"),
        ("rate_limit_error", "limited"),
        ("RESOURCE_EXHAUSTED", "limited"),
        ("invalid_request_error", "request"),
        ("content_filter", "request"),
        ("never-heard-of", "failing"),
    ],
)
def test_errors_within_a_stream_mean_what_they_are_called(code: str, kind: str) -> None:
    assert failure_in_stream(code).kind == kind


# --- Attempts ---


def attempts(health: Health, *routes: Route, most: int = 3, seconds: float = 30.0) -> Attempts:
    return Attempts(routes, health, most=most, until=health.clock() + seconds)


def test_each_route_is_tried_before_any_is_tried_again(health: Health) -> None:
    a, b = route("a"), route("b")
    made = attempts(health, a, b, most=4)
    assert made.first() is a
    assert made.after(a, FAILS) == (b, 0.0)
    third = made.after(b, FAILS)
    assert third is not None
    assert third[0] is a
    assert 0.125 <= third[1] <= 0.25
    fourth = made.after(a, FAILS)
    assert fourth is not None
    assert fourth[0] is b
    assert 0.25 <= fourth[1] <= 0.5
    assert made.after(b, FAILS) is None


def test_a_route_that_turns_out_not_to_work_meanwhile_is_asked_after_the_others(health: Health) -> None:
    a, b, c = route("a"), route("b"), route("c")
    made = attempts(health, a, b, c)
    made.first()
    fails(health, b)
    assert made.after(a, FAILS) == (c, 0.0)
    assert made.after(c, FAILS) == (b, 0.0)


def test_a_route_that_is_known_to_fail_gets_one_attempt_of_a_call(health: Health) -> None:
    a = route("a")
    fails(health, a)
    made = attempts(health, a)
    assert made.first() is a
    assert made.after(a, FAILS) is None


def test_a_limit_that_ends_within_the_pause_is_waited_for(health: Health) -> None:
    a = route("a")
    made = attempts(health, a)
    made.first()
    assert made.after(a, Failure("limited", "x", 5.0, 429)) == (a, 5.0)
    other = attempts(health, a, seconds=3.0)
    other.first()
    assert other.after(a, Failure("limited", "x", 5.0, 429)) is None


def test_a_refused_credential_is_not_asked_again_by_the_same_call(health: Health) -> None:
    a, b = route("a"), route("b")
    made = attempts(health, a, b)
    made.first()
    assert made.after(a, Failure("refused", "x", status=401)) == (b, 0.0)
    again = made.after(b, FAILS)
    assert again is not None
    assert again[0] is b


def test_what_is_refused_as_content_is_not_asked_of_the_same_route_again(health: Health) -> None:
    a = route("a")
    made = attempts(health, a)
    made.first()
    assert made.after(a, Failure("content", "content_filter", status=400)) is None


def test_calls_in_flight_are_counted_out_however_they_end(health: Health) -> None:
    a, b = route("a"), route("b")
    for ending in ("succeeded", "failed", "left"):
        made = Attempts((a, b), health, most=3, until=health.clock() + 9, strategy="least_busy")
        first = made.first()
        assert health._in_flight.count((first.credential.id, "m")) == 1
        if ending == "succeeded":
            made.succeeded(0.1)
        elif ending == "failed":
            made.after(first, FAILS)
        made.ends()
        made.ends()
        assert health._in_flight._counts == {}
