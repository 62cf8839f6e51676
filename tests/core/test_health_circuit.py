"""When a route is asked last, and when again: the state of one circuit, on a clock that the test turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.health.circuit import COOL_MOST, Circuit
from apps.providers.health.shared import ABANDONED


def fails(circuit: Circuit, now: float, times: int = 3, *, began: float | None = None) -> None:
    for _ in range(times):
        circuit.failed(now, now if began is None else began, "upstream_500", probe=False)


def opened(at: float = 100.0) -> Circuit:
    circuit = Circuit()
    fails(circuit, at)
    assert circuit.is_last(at)
    return circuit


def test_three_failures_in_a_row_open_it_for_ten_seconds() -> None:
    circuit = Circuit()
    fails(circuit, 100, 2)
    assert not circuit.is_last(100)
    fails(circuit, 100, 1)
    assert circuit.is_last(100)
    assert circuit.until == 110
    assert (circuit.reason, circuit.code) == ("failing", "upstream_500")


def test_a_success_in_between_begins_the_count_anew() -> None:
    circuit = Circuit()
    for now in range(10):
        fails(circuit, now, 2)
        circuit.succeeded(now, now)
    assert circuit.is_closed


def test_a_few_failures_among_many_answers_do_not_open_it() -> None:
    circuit = Circuit()
    for _ in range(50):
        circuit.succeeded(100, 100)
    fails(circuit, 100, 6)
    assert circuit.is_closed
    fails(circuit, 100, 1)
    assert not circuit.is_closed


def test_what_came_a_minute_ago_says_nothing() -> None:
    circuit = Circuit()
    for _ in range(50):
        circuit.succeeded(100, 100)
    fails(circuit, 161, 3)
    assert not circuit.is_closed
    other = Circuit()
    fails(other, 100, 2)
    fails(other, 161, 1)
    assert other.is_closed


def test_once_the_time_is_over_it_waits_for_a_probe_and_is_last_until_then() -> None:
    circuit = opened(100)
    assert not circuit.waits(109)
    assert circuit.waits(110)
    assert circuit.is_last(110)


def test_with_the_permit_exactly_one_call_is_the_probe() -> None:
    circuit = opened(100)
    circuit.permit = True
    assert not circuit.begins(105)  # not yet
    assert not circuit.is_last(110)
    assert [circuit.begins(110) for _ in range(3)] == [True, False, False]
    assert circuit.is_last(110)


def test_without_the_permit_no_call_is_a_probe() -> None:
    circuit = opened(100)
    assert not circuit.begins(111)
    assert circuit.is_last(111)


def test_a_probe_that_is_answered_closes_it() -> None:
    circuit = opened(100)
    circuit.permit = True
    circuit.begins(111)
    assert circuit.succeeded(112, 111)
    assert circuit.is_closed
    assert not circuit.is_last(112)


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_minute() -> None:
    circuit = opened(100)
    spans = []
    now = circuit.until
    for _ in range(5):
        circuit.permit = True
        assert circuit.begins(now)
        assert circuit.failed(now, now, "upstream_500", probe=True)
        assert not circuit.permit
        spans.append(circuit.until - now)
        now = circuit.until
    assert spans == [20, 40, 60, 60, 60]


def test_a_probe_whose_end_nobody_knows_lets_another_one_be_it() -> None:
    circuit = opened(100)
    circuit.permit = True
    circuit.begins(110)
    circuit.released()
    assert circuit.begins(111)


def test_calls_that_began_before_it_opened_do_not_close_it() -> None:
    circuit = opened(100)
    assert not circuit.succeeded(101, 99)
    assert circuit.is_last(101)
    assert circuit.succeeded(102, 101)  # nothing else was left for this one


def test_slow_failures_of_calls_from_before_do_not_open_it_again() -> None:
    circuit = opened(100)
    fails(circuit, 111, began=99)
    assert circuit.until == 110
    circuit.permit = True
    circuit.begins(111)
    circuit.succeeded(112, 111)
    fails(circuit, 113, began=100)
    assert circuit.is_closed


def test_while_a_probe_is_out_other_failures_do_not_decide() -> None:
    circuit = opened(100)
    circuit.permit = True
    circuit.begins(110)
    fails(circuit, 111)
    assert circuit.until == 110
    circuit.succeeded(112, 110)
    assert circuit.is_closed


def test_a_limit_is_kept_for_as_long_as_the_provider_says_and_needs_no_probe() -> None:
    circuit = Circuit()
    assert circuit.limited(100, 7.0, "rate_limit_exceeded")
    assert circuit.is_last(106.9)
    assert not circuit.waits(107)
    assert not circuit.is_last(107)


def test_no_limit_is_kept_for_longer_than_a_minute() -> None:
    circuit = Circuit()
    circuit.limited(100, 3600.0, "rate_limit_exceeded")
    assert circuit.until == 100 + COOL_MOST


def test_limits_without_a_time_take_longer_each_time() -> None:
    circuit, now, spans = Circuit(), 100.0, []
    for _ in range(7):
        assert circuit.limited(now, None, "rate_limit_exceeded")
        spans.append(circuit.until - now)
        now = circuit.until
        assert not circuit.is_last(now)
    assert spans == [1, 2, 4, 8, 16, 30, 30]
    circuit.succeeded(now, now)
    circuit.limited(now, None, "rate_limit_exceeded")
    assert circuit.until - now == 1


def test_limits_are_no_failures() -> None:
    circuit = Circuit()
    for now in range(10):
        circuit.limited(now, 0.1, "rate_limit_exceeded")
    fails(circuit, 20, 2)
    assert circuit.is_closed


def test_a_limit_does_not_shorten_what_a_failure_has_opened() -> None:
    circuit = opened(100)
    assert not circuit.limited(101, 1.0, "rate_limit_exceeded")
    assert not circuit.limited(101, 30.0, "rate_limit_exceeded")
    assert (circuit.until, circuit.reason) == (110, "failing")


def test_a_refusal_opens_it_at_once_for_a_minute() -> None:
    circuit = Circuit()
    assert circuit.refused(100, "upstream_auth_failed")
    assert circuit.until == 160
    assert not circuit.refused(130, "upstream_auth_failed")
    circuit.permit = True
    assert circuit.begins(160)


def test_what_nobody_has_probed_for_long_is_forgotten() -> None:
    circuit = opened(100)
    assert circuit.is_last(109 + ABANDONED)
    assert not circuit.is_last(110 + ABANDONED)
    assert circuit.is_closed


def test_what_another_process_opened_is_open_here() -> None:
    circuit = Circuit()
    circuit.learn(100, 120, 20, "failing", "upstream_503")
    assert circuit.is_last(119)
    assert circuit.waits(120)
    circuit.permit = True
    circuit.begins(121)
    circuit.failed(122, 121, "upstream_503", probe=True)
    assert circuit.until == 162  # on from the other's twenty seconds


def test_hearing_the_same_again_takes_no_permit_away() -> None:
    circuit = opened(100)
    circuit.permit = True
    circuit.learn(111, 110.2, 10, "failing", "upstream_500")
    assert circuit.permit


def test_what_another_process_found_well_is_closed_here() -> None:
    circuit = opened(100)
    circuit.forget(105)
    assert not circuit.is_last(105)


STEPS = st.lists(
    st.tuples(
        st.floats(0, 80),
        st.sampled_from(
            ["failed", "limited", "refused", "succeeded", "learn", "forget", "permit", "begins", "released"]
        ),
        st.floats(0, 100),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_happens_it_recovers_and_never_has_two_probes(steps: list[tuple[float, str, float]]) -> None:
    circuit, now, probes = Circuit(), 1000.0, 0
    for wait, step, number in steps:
        now += wait
        match step:
            case "failed":
                circuit.failed(now, now - number, "x", probe=probes > 0)
                probes = probes if circuit.is_probed(now) else 0
            case "limited":
                circuit.limited(now, number, "x")
            case "refused":
                circuit.refused(now, "x")
            case "succeeded":
                circuit.succeeded(now, now - number)
            case "learn":
                circuit.learn(now, now + number, number, "failing", "x")
            case "forget":
                circuit.forget(now)
            case "permit":
                circuit.permit = True
            case "begins":
                was_probed = circuit.is_probed(now)
                probes = circuit.begins(now)
                assert not (was_probed and probes)
            case _:
                circuit.released()
        assert circuit.until - now <= 100.5
        if circuit.is_last(now):
            assert circuit.until
    assert not circuit.is_last(now + 101 + ABANDONED)


@pytest.mark.parametrize("closed", [True, False])
def test_a_circuit_is_kept_while_it_says_anything(closed: bool) -> None:
    circuit = Circuit() if closed else opened(100)
    if closed:
        fails(circuit, 100, 1)
    assert not circuit.is_over(159)
    assert circuit.is_over(161) is closed
