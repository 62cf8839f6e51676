"""How long providers ask to be left alone: every way that they say it in, and nothing that cannot be meant."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.gateway.health.pacing import asked_in_body, asked_to_wait

AT = 1_795_262_400.0  # 2026-11-21T12:00:00Z
DAY = 24 * 3600


def asked(**headers: str) -> float | None:
    return asked_to_wait([(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()], AT)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("0.25", 0.25),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("2026-11-21T12:00:40Z", 40.0),
        ("2026-11-21T12:00:00.5+00:00", 0.5),
        ("Sat, 21 Nov 2026 12:01:30 GMT", 90.0),
        (str(int(AT) + 12), 12.0),
        (str(int(AT) * 1000 + 12_500), 12.5),
        ("2026-11-21T11:00:00Z", 0.0),  # over already
    ],
)
def test_a_delay_is_read_in_every_form_that_providers_write_it_in(text: str, seconds: float) -> None:
    assert asked(retry_after=text) == pytest.approx(seconds)
    assert asked(x_ratelimit_reset_requests=text) == pytest.approx(seconds)
    assert asked(anthropic_ratelimit_tokens_reset=text) == pytest.approx(seconds)


def test_milliseconds_come_first() -> None:
    assert asked(retry_after="2", retry_after_ms="1500") == 1.5
    assert asked(retry_after="2", retry_after_ms="soon") == 2.0


def test_a_delay_comes_before_what_limits_say() -> None:
    assert asked(retry_after="3", x_ratelimit_reset_tokens="6m0s", x_ratelimit_remaining_tokens="0") == 3.0


def test_of_limits_that_are_used_up_the_last_counts() -> None:
    used_up = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_remaining_requests": "0"}
    assert asked(x_ratelimit_reset_tokens="2s", x_ratelimit_reset_requests="20s", **used_up) == 20.0


def test_limits_that_are_not_used_up_are_not_waited_for() -> None:
    assert (
        asked(
            anthropic_ratelimit_requests_remaining="49",
            anthropic_ratelimit_requests_reset="2026-11-21T12:10:00Z",
            anthropic_ratelimit_tokens_remaining="0",
            anthropic_ratelimit_tokens_reset="2026-11-21T12:00:05Z",
        )
        == 5.0
    )


def test_where_no_limit_is_used_up_the_first_to_recover_counts() -> None:
    assert asked(x_ratelimit_reset_tokens="2s", x_ratelimit_reset_requests="20s") == 2.0


def test_times_are_held_against_the_providers_own_clock() -> None:
    clocks_differ = {"date": "Sat, 21 Nov 2026 13:00:00 GMT", "retry_after": "Sat, 21 Nov 2026 13:00:08 GMT"}
    assert asked(**clocks_differ) == 8.0


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "nan", "inf", "1e99", "5 minutes", "99999999", "6m0", "2026-99-01T00:00:00Z"]
)
def test_what_cannot_be_meant_is_no_delay(text: str) -> None:
    assert asked(retry_after=text) is None
    assert asked(x_ratelimit_reset_requests=text) is None


def test_without_any_header_nothing_is_asked_for() -> None:
    assert asked(content_type="application/json", x_ratelimit_remaining_tokens="0") is None


NAMES = st.sampled_from(
    [
        b"retry-after",
        b"retry-after-ms",
        b"x-ratelimit-reset-tokens",
        b"anthropic-ratelimit-x-reset",
        b"ratelimit-reset",
        b"date",
    ]
)
TEXTS = st.from_regex(rb"[0-9]{0,15}(\.[0-9]{0,5})?(ms|s|m|h|d|Z|e9)?", fullmatch=True) | st.binary(max_size=40)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=6))
@example([(b"retry-after", b"9" * 400)])
@example([(b"ratelimit-reset", b"Mon, 01 Jan 0000 00:00:00 +9999")])
def test_any_headers_are_read_as_a_bearable_delay_or_none(headers: list[tuple[bytes, bytes]]) -> None:
    seconds = asked_to_wait(headers, AT)
    assert seconds is None or 0 <= seconds < DAY


def test_google_says_it_in_the_body() -> None:
    body = (
        b'{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}'
    )
    assert asked_in_body(body) == 34.5
    assert asked_in_body(b'{"error":{"code":429}}') is None
    assert asked_in_body(b'{"retryDelay":"999999s"}') is None


@given(st.binary(max_size=200))
def test_any_body_is_read(body: bytes) -> None:
    asked_in_body(body)
