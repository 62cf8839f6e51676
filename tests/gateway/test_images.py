"""Pictures: billed by the picture or in tokens, whole or as a stream, of any size."""

import base64
import json
import threading
from decimal import Decimal
from typing import Any

import openai
import pytest

from apps.policies.actions.policies import inline_set
from tests.gateway.test_refusals import refused
from tests.support.bodies import CREATED, Json, event
from tests.support.gateway import GatewayProcess
from tests.support.governed import budget, priced, ruled
from tests.support.provider import CLOSE, FakeProvider
from tests.support.tenant import ACTOR, Tenant, tenant

PICTURE = base64.b64encode(b"\x89PNG not really").decode()
USAGE: Json = {
    "input_tokens": 10,
    "output_tokens": 1056,
    "total_tokens": 1066,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
}
IN_TOKENS: dict[str, Any] = {
    "input": Decimal(5),
    "image_input": Decimal(10),
    "image_output": Decimal(40),
}  # gpt-image-1's
BY_PICTURE: dict[str, Any] = {"per_image": Decimal(40_000)}  # 4 cents each
SSE = {"Content-Type": "text/event-stream"}


def pictures(count: int = 1, **extra: Any) -> Json:
    return {"created": CREATED, "data": [{"b64_json": PICTURE}] * count, **extra}


def partial(picture: str = PICTURE) -> bytes:
    data = {"type": "image_generation.partial_image", "b64_json": picture, "partial_image_index": 0}
    return event(data, name="image_generation.partial_image")


def completed(picture: str = PICTURE, **extra: Any) -> bytes:
    data = {"type": "image_generation.completed", "b64_json": picture, "created_at": CREATED, "usage": USAGE, **extra}
    return event(data, name="image_generation.completed")


def generate(acme: Tenant, **options: Any) -> Any:
    return acme.client().images.generate(**{"model": "gpt-test", "prompt": "A toll gate", **options})


# --- Whole answers ---


def test_pictures_billed_in_tokens(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    upstream.answers(pictures(usage=USAGE))
    answer = generate(acme, size="1024x1024", quality="medium", user="ada")
    assert answer.data[0].b64_json == PICTURE
    assert upstream.requests[0].path == "/v1/images/generations"
    record = acme.record()
    assert (record.endpoint, record.end_user, record.flags) == ("image_generations", "ada", [])
    assert (record.input_tokens, record.image_output_tokens, record.output_tokens) == (10, 1056, None)
    assert record.other_usage == {"images": 1}
    assert record.cost_usd == Decimal("0.04229")  # 10 x 5 + 1056 x 40 millionths
    assert not record.usage_estimated


def test_pictures_billed_one_by_one(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_PICTURE)
    upstream.answers(pictures(3))
    assert len(generate(acme, n=3).data) == 3
    record = acme.record()
    assert record.cost_usd == Decimal("0.12")
    assert (record.other_usage, record.usage_estimated, record.flags) == ({"images": 3}, False, [])


def test_tokens_that_nobody_tells_are_estimated_where_they_are_the_price(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    upstream.answers(pictures(2))
    generate(acme, n=2, size="1000x1000", quality="medium")
    record = acme.record()
    assert record.usage_estimated
    assert (record.image_output_tokens, record.other_usage) == (4_000, {"images": 2})
    assert record.input_tokens
    assert record.flags == []


def test_pictures_without_a_price_are_flagged_or_refused_as_a_policy_says(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(pictures(usage=USAGE))
    generate(acme)
    record = acme.record()
    assert (record.cost_usd, record.flags) == (None, ["unpriced"])
    budget(acme, "100")
    row, strict = acme.issue_token()
    inline_set(layer="token", token=row, fields={"unpriced": "deny"}, actor=ACTOR)
    client = acme.client(token=strict)
    refused(
        lambda: client.images.generate(model="gpt-test", prompt="A gate"),
        openai.PermissionDeniedError,
        "model_unpriced",
    )


# --- Budgets and policies ---


def test_a_budget_holds_every_picture_that_is_asked_for(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_PICTURE)
    budget(acme, "0.10")
    error = refused(lambda: generate(acme, n=3), openai.APIStatusError, "budget_exceeded")
    assert error.status_code == 402
    upstream.answers(pictures(2))
    assert len(generate(acme, n=2).data) == 2
    assert acme.records(2)[1].flags == []


@pytest.mark.parametrize(
    ("options", "usd"),
    [
        ({"size": "1000x1000", "quality": "high"}, "0.32"),
        ({"size": "1000x1000", "quality": "medium"}, "0.16"),
        ({"size": "1000x1000", "quality": "low"}, "0.04"),
        ({"size": "2000x1000"}, "0.64"),
        ({}, "0.64"),  # of a size that the provider chooses
        ({"size": "1000x1000", "n": 2}, "0.64"),
    ],
)
def test_a_hold_for_tokens_is_by_size_and_quality(
    acme: Tenant, upstream: FakeProvider, options: dict[str, Any], usd: str
) -> None:
    priced(acme, input=Decimal(0), image_output=Decimal(40))
    budget(acme, "1000")
    upstream.answers(pictures(usage=USAGE))
    generate(acme, **options)
    decision = acme.record().decision
    assert decision is not None
    assert Decimal(decision["hold"]) == Decimal(usd) * 10**9


def test_a_token_without_output_makes_no_pictures(acme: Tenant, upstream: FakeProvider) -> None:
    ruled(acme, max_output_tokens=0)
    refused(lambda: generate(acme), openai.PermissionDeniedError, "not_allowed")
    assert upstream.requests == []


def test_a_cap_of_output_tokens_leaves_a_request_for_pictures_as_it_is(acme: Tenant, upstream: FakeProvider) -> None:
    ruled(acme, max_output_tokens=5)
    upstream.answers(pictures(usage=USAGE))
    generate(acme)
    assert "max_tokens" not in upstream.requests[0].json


@pytest.mark.parametrize("body", [{}, {"prompt": 5}, {"prompt": "A gate", "n": -1}])
def test_a_request_that_cannot_be_read_is_refused(acme: Tenant, body: Json) -> None:
    response = acme.http().post("/v1/images/generations", json={"model": "gpt-test", **body})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == ("n" if "n" in body else "prompt")


# --- Streams ---


def test_a_stream_of_pictures(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    large = PICTURE * 10_000
    upstream.streams_raw([partial(), partial(large), completed(large)], headers=SSE)
    events = list(generate(acme, stream=True, partial_images=2))
    assert [each.type.rpartition(".")[2] for each in events] == ["partial_image", "partial_image", "completed"]
    assert events[1].b64_json == events[2].b64_json == large
    record = acme.record()
    assert (record.stream, record.image_output_tokens, record.other_usage) == (True, 1056, {"images": 1})
    assert record.cost_usd == Decimal("0.04229")


def test_several_pictures_of_a_stream_count_together(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_PICTURE)
    upstream.streams_raw([completed(), completed()], headers=SSE)
    assert len(list(generate(acme, stream=True, n=2))) == 2
    record = acme.record()
    assert (record.image_output_tokens, record.other_usage, record.cost_usd) == (2112, {"images": 2}, Decimal("0.08"))


def test_a_stream_that_breaks_off_is_billed_for_what_was_begun(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_PICTURE)
    upstream.streams_raw([partial(), CLOSE], headers=SSE)
    with pytest.raises(openai.APIError):
        list(generate(acme, stream=True))
    record = acme.record()
    assert (record.cost_usd, record.usage_estimated, record.error_code) == (
        Decimal("0.04"),
        True,
        "upstream_disconnected",
    )


def test_a_stream_that_is_refused_with_its_first_event_costs_nothing(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_PICTURE)
    error = {"type": "error", "error": {"type": "image_generation_user_error", "code": "moderation_blocked"}}
    upstream.streams_raw([event(error, name="error")], headers=SSE)
    with pytest.raises(openai.APIError):
        list(generate(acme, stream=True))
    record = acme.record()
    assert (record.cost_usd, record.error_code) == (None, "moderation_blocked")


# --- Size ---


def test_pictures_of_thirty_megabytes_fill_no_memory(upstream: FakeProvider) -> None:
    pieces = [b"QUJD" * 16_384] * 240  # of 64 KiB each
    size = sum(map(len, pieces))
    whole = [b'{"created": 1, "data": [{"b64_json": "', *pieces, b'"}], "usage": ', json.dumps(USAGE).encode(), b"}"]
    first = b'event: image_generation.completed\ndata: {"type": "image_generation.completed", "b64_json": "'
    streamed = [first, *pieces, b'", "usage": ', json.dumps(USAGE).encode(), b"}\n\n"]
    with GatewayProcess({"UPSTREAM_ATTEMPTS": "1"}) as gateway, tenant(gateway, upstream) as acme:
        priced(acme, **IN_TOKENS)
        upstream.answers(pictures(usage=USAGE))
        generate(acme)
        before = most = gateway.memory
        for steps, kind, options in (
            (whole, "application/json", {}),
            (streamed, SSE["Content-Type"], {"stream": True}),
        ):
            for _ in range(2):
                upstream.streams_raw([*steps], headers={"Content-Type": kind})
                body = {"model": "gpt-test", "prompt": "A gate", **options}
                came = 0
                with acme.http().stream("POST", "/v1/images/generations", json=body) as response:
                    for piece in response.iter_raw():
                        came += len(piece)
                        most = max(most, gateway.memory)
                assert came > size
        assert most - before < 20 * 2**20
        records = acme.records(5)
    assert [record.image_output_tokens for record in records] == [1056] * 5
    assert [record.cost_usd for record in records] == [Decimal("0.04229")] * 5


def test_a_large_answer_reaches_the_client_while_it_comes(acme: Tenant, upstream: FakeProvider) -> None:
    rest = threading.Event()
    begun = b'{"data": [{"b64_json": "' + b"QUJD" * 400_000
    upstream.streams_raw([begun, rest, b'"}]}'], headers={"Content-Type": "application/json"})
    body = {"model": "gpt-test", "prompt": "A gate"}
    with acme.http().stream("POST", "/v1/images/generations", json=body) as response:
        pieces = response.iter_raw()
        assert next(pieces)
        rest.set()
        assert b"".join(pieces).endswith(b'"}]}')
    assert acme.record().other_usage == {"images": 1}
