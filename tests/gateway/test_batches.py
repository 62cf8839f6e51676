"""Batches: held against the rules before they are made, owned by who made them, and paid for once, when they are over."""

import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import openai
import pytest

from apps.objects.models import OwnedObject
from apps.policies.actions.policies import inline_set
from apps.policies.selectors.budgets import budget_states
from apps.providers.prices.actions import price_set
from tests.gateway.test_objects import rival
from tests.gateway.test_refusals import refused
from tests.support.account import USAGE, FakeAccount
from tests.support.gateway import GatewayProcess, eventually, gateways
from tests.support.governed import LONG_AGO, budget, priced, ruled
from tests.support.provider import FakeProvider
from tests.support.tenant import ACTOR, Tenant, tenant

PRICES: dict[str, Any] = {"input": Decimal(2), "cached_input": Decimal(1), "output": Decimal(8)}
# (1000 - 200) x 1 + 200 x 0.5 + 500 x 4 millionths: half of the usual prices.
COST = Decimal("0.0029")


def line(number: int = 1, *, url: str = "/v1/chat/completions", **body: Any) -> str:
    asked = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}], **body}
    return json.dumps({"custom_id": f"c{number}", "method": "POST", "url": url, "body": asked})


def send(client: openai.OpenAI, *lines: str, **options: Any) -> Any:
    content = "\n".join(lines or (line(1), line(2)))
    return client.files.create(file=("in.jsonl", content.encode()), purpose="batch", **options)


def start(client: openai.OpenAI, file: str, endpoint: Any = "/v1/chat/completions", **options: Any) -> Any:
    return client.batches.create(input_file_id=file, endpoint=endpoint, completion_window="24h", **options)


def half_price(acme: Tenant) -> None:
    """The model's prices, and what a batch pays."""
    priced(acme, **PRICES)
    price_set(
        organization=acme.organization,
        provider="openai_compatible",
        model="gpt-test",
        tier="batch",
        prices={kind: price / 2 for kind, price in PRICES.items()},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )


def paid(acme: Tenant) -> list[Any]:
    """The records of what batches have cost."""
    return [record for record in acme.records() if "paid_later" in record.flags]


# --- Made, shown, called off ---


def test_a_batch_is_its_services_to_make_to_see_and_to_call_off(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    file = send(client)
    made = start(client, file.id, metadata={"team": "search"})
    assert made.status == "validating"
    assert account.batches[made.id]["input_file_id"] == file.id
    assert [each.id for each in client.batches.list()] == [made.id]
    assert client.batches.retrieve(made.id).id == made.id
    assert client.batches.cancel(made.id).status == "cancelling"
    row = OwnedObject.objects.get(upstream_id=made.id)
    assert (row.kind, row.model, row.service, row.awaited) == ("batch", "gpt-test", acme.service, True)
    made_by = next(record for record in acme.records(5) if (record.endpoint, record.method) == ("batches", "POST"))
    assert (made_by.model_asked, made_by.cost_usd) == ("gpt-test", None)


def test_another_service_neither_sees_nor_uses_it(acme: Tenant, account: FakeAccount) -> None:
    file = send(acme.client())
    made = start(acme.client(), file.id)
    _, plaintext = rival(acme)
    other = acme.client(token=plaintext)
    for call in (other.batches.retrieve, other.batches.cancel):
        refused(lambda call=call: call(made.id), openai.NotFoundError, "object_not_found")  # type: ignore[misc]
    assert list(other.batches.list()) == []
    error = refused(lambda: start(other, file.id), openai.NotFoundError, "object_not_found")
    assert error.param == "input_file_id"
    assert account.batches[made.id]["status"] == "validating"


def test_a_list_shows_batches_as_they_stand(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    made = start(client, send(client).id)
    account.batches[made.id]["status"] = "in_progress"
    OwnedObject.objects.filter(upstream_id=made.id).update(checked_at="2026-01-01T00:00:00Z")
    assert [each.status for each in client.batches.list()] == ["in_progress"]
    account.down = True
    OwnedObject.objects.filter(upstream_id=made.id).update(checked_at="2026-01-01T00:00:00Z")
    assert [each.status for each in client.batches.list()] == ["in_progress"], "as it was seen last"


def test_a_batch_by_another_name_is_rewritten_for_its_provider(acme: Tenant, account: FakeAccount) -> None:
    file = send(acme.client(), line(1, model="renamed", seed=5), line(2, model="renamed"))
    content = account.files[file.id][1].decode().splitlines()
    assert [json.loads(each)["body"]["model"] for each in content] == ["upstream/other"] * 2
    assert json.loads(content[0])["body"]["seed"] == 5
    assert json.loads(content[1])["custom_id"] == "c2"
    start(acme.client(), file.id)


def test_a_batch_goes_to_the_account_that_serves_its_model(acme: Tenant, account: FakeAccount) -> None:
    with FakeProvider() as elsewhere:
        other = FakeAccount("other")
        elsewhere.replies(other, always=True)
        acme.add_route("far", elsewhere.url + "/v1", upstream_name="far-away")
        file = send(acme.client(), line(1, model="far"))
        made = start(acme.client(), file.id)
        assert made.id in other.batches
        assert account.asked == []


def test_a_line_said_twice_is_sent_once(acme: Tenant, account: FakeAccount) -> None:
    twice = '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": '
    twice += '{"model": "gpt-other", "model": "gpt-test", "messages": []}}'
    file = send(acme.client(), twice)
    content = account.files[file.id][1]
    assert content.count(b'"model"') == 1
    assert json.loads(content)["body"]["model"] == "gpt-test"


# --- What may be in one ---


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["not json"], "Line 1"),
        ([line(), "{}"], "Line 2"),
        ([""], "not empty"),
        (["\n \n"], "no lines"),
        ([line(url="/v1/files")], "cannot be asked"),
        ([line(model="")], "'model'"),
        ([line(model="nobody")], "does not exist"),
        ([line(), line(model="renamed")], "one model"),
        ([line(), line(url="/v1/responses", input="a")], "one model at one endpoint"),
        ([line(stream=True)], "stream"),
        ([line(url="/v1/responses", input="a", background=True)], "background"),
        ([line(messages=[{"role": "user", "content": [{"file": {"file_id": "file-x"}}]}])], "file-x"),
    ],
)
def test_a_file_that_is_no_batch_is_refused(everyday: Tenant, lines: list[str], words: str) -> None:
    everyday.upstream.reset()
    with pytest.raises(openai.APIStatusError) as caught:
        send(everyday.client(), *lines)
    assert caught.value.status_code in (400, 404)
    assert words in caught.value.message
    assert everyday.upstream.requests == []


def test_a_batch_asks_for_no_model_that_its_token_may_not(acme: Tenant, account: FakeAccount) -> None:
    ruled(acme, denied_models=["gpt-test"])
    refused(lambda: send(acme.client()), openai.PermissionDeniedError, "model_not_allowed")


def test_a_policy_made_after_the_file_holds_for_the_batch(acme: Tenant, account: FakeAccount) -> None:
    row, plaintext = acme.issue_token()
    file = send(acme.client())
    inline_set(layer="token", token=row, fields={"denied_models": ["gpt-test"]}, actor=ACTOR)
    refused(lambda: start(acme.client(token=plaintext), file.id), openai.PermissionDeniedError, "model_not_allowed")


def test_a_batch_asks_at_no_endpoint_that_its_token_may_not(acme: Tenant, account: FakeAccount) -> None:
    _, plaintext = acme.issue_token(scopes=["files", "batches", "embeddings"])
    client = acme.client(token=plaintext)
    refused(lambda: send(client), openai.PermissionDeniedError, "endpoint_not_allowed")
    file = send(acme.client())
    refused(lambda: start(client, file.id), openai.PermissionDeniedError, "endpoint_not_allowed")


def test_a_batch_keeps_to_its_policys_caps(acme: Tenant, account: FakeAccount) -> None:
    ruled(acme, max_output_tokens=10, max_input_tokens=1000)
    client = acme.client()
    error = refused(lambda: send(client, line()), openai.BadRequestError, "invalid_value")
    assert "at most 10 output tokens" in error.message
    refused(lambda: send(client, line(max_tokens=11)), openai.BadRequestError, "invalid_value")
    long = [{"role": "user", "content": "a" * 8000}]
    error = refused(lambda: send(client, line(max_tokens=10, messages=long)), openai.BadRequestError, "invalid_value")
    assert "input tokens" in error.message
    send(client, line(max_tokens=10))


def test_only_a_file_sent_as_a_batch_can_be_one(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    file = client.files.create(file=("a.jsonl", line().encode()), purpose="user_data")
    error = refused(lambda: start(client, file.id), openai.BadRequestError, "invalid_value")
    assert "purpose 'batch'" in error.message


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "input_file_id"), ({"input_file_id": "file-1"}, "endpoint"), ({"input_file_id": 5}, "input_file_id")],
)
def test_a_batch_that_lacks_something_is_refused(everyday: Tenant, body: Any, param: str) -> None:
    response = everyday.http().post("/v1/batches", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


# --- What it costs ---


def test_a_budget_that_blocks_has_no_room_for_what_is_not_known(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    client = acme.client()
    file = send(client)
    budget(acme, "100")
    _, plaintext = acme.issue_token()
    error = refused(lambda: start(acme.client(token=plaintext), file.id), openai.BadRequestError, "invalid_value")
    assert "budget" in error.message
    assert account.batches == {}


def test_a_batch_is_paid_for_once_when_it_is_over(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    watched = budget(acme, "100", action="alert")
    client = acme.client()
    made = start(client, send(client).id, extra_headers={"x-tollgate-tags": "team=search"})
    assert client.batches.retrieve(made.id).status == "validating"
    account.finish(made.id)
    for _ in range(3):
        assert client.batches.retrieve(made.id).status == "completed"
    client.batches.list()
    acme.records(7)
    [record] = paid(acme)
    assert (record.cost_usd, record.service_tier, record.endpoint) == (COST, "batch", "batches")
    assert (record.input_tokens, record.cache_read_tokens, record.output_tokens) == (800, 200, 500)
    assert (record.token_id, record.service_id, record.tags) == (acme.token_row.pk, acme.service.pk, ["team=search"])
    assert (record.model_asked, record.provider, record.usage_estimated) == ("gpt-test", "openai_compatible", False)
    row = OwnedObject.objects.get(upstream_id=made.id)
    assert (row.awaited, row.record_id) == (False, record.pk)

    def counted() -> bool:
        client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "hi"}], max_tokens=1)
        (state,) = budget_states([watched])
        return state.spent_usd > COST

    eventually(counted, what="the batch in the budget")


def test_a_batch_is_paid_for_by_the_token_that_made_it(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    made = start(acme.client(), send(acme.client()).id)
    account.finish(made.id)
    _, plaintext = acme.issue_token()
    acme.client(token=plaintext).batches.retrieve(made.id)
    acme.records(4)
    [record] = paid(acme)
    assert record.token_id == acme.token_row.pk


def test_many_who_see_its_end_at_once_pay_once() -> None:
    import concurrent.futures

    with gateways(2) as (one, two), FakeProvider() as upstream, tenant(one, upstream) as acme:
        account = FakeAccount(uuid4().hex[:6])
        upstream.replies(account, always=True)
        half_price(acme)
        made = start(acme.client(), send(acme.client()).id)
        account.finish(made.id)

        def look(number: int) -> int:
            return acme.http(gateway=(one, two)[number % 2]).get(f"/v1/batches/{made.id}").status_code

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            assert set(pool.map(look, range(24))) == {200}
        acme.records(27)
        assert [record.cost_usd for record in paid(acme)] == [COST]


def test_a_process_that_dies_before_it_has_paid_leaves_it_to_the_next(acme: Tenant, account: FakeAccount) -> None:
    """As a process leaves the row that was killed between its claim and the end: whether its record arrived or not."""
    half_price(acme)
    client = acme.client()
    made = start(client, send(client).id)
    account.finish(made.id)
    client.batches.retrieve(made.id)
    acme.records(4)
    [record] = paid(acme)
    OwnedObject.objects.filter(upstream_id=made.id).update(awaited=True, claimed_until="2026-01-01T00:00:00Z")
    client.batches.retrieve(made.id)
    eventually(lambda: not OwnedObject.objects.get(upstream_id=made.id).awaited, what="a batch that is paid for")
    acme.records(5)
    assert [each.pk for each in paid(acme)] == [record.pk]


def test_a_batch_that_nobody_looks_at_is_paid_for_all_the_same(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    client = acme.client()
    made = start(client, send(client).id)
    account.finish(made.id, "expired")
    OwnedObject.objects.filter(upstream_id=made.id).update(checked_at="2026-01-01T00:00:00Z")
    eventually(lambda: not OwnedObject.objects.get(upstream_id=made.id).awaited, timeout=45, what="a look")
    acme.records(3)
    assert [record.cost_usd for record in paid(acme)] == [COST]


def test_a_provider_that_tells_no_sum_is_read_line_by_line(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    client = acme.client()
    made = start(client, send(client).id)
    usage = {"prompt_tokens": 500, "prompt_tokens_details": {"cached_tokens": 100}, "completion_tokens": 250}
    answers = [
        {"custom_id": "c1", "response": {"status_code": 200, "body": {"usage": usage}}, "error": None},
        {"custom_id": "c2", "response": {"status_code": 200, "body": {"usage": usage}}, "error": None},
        {"custom_id": "c3", "response": None, "error": {"code": "batch_expired"}},
    ]
    account.finish(made.id, usage=None, output="\n".join(map(json.dumps, answers)).encode() + b"\nnot json\n")
    client.batches.retrieve(made.id)
    acme.records(4)
    [record] = paid(acme)
    assert (record.cost_usd, record.input_tokens, record.output_tokens) == (COST, 800, 500)


def test_a_batch_that_tells_nothing_is_flagged_and_not_taken_for_free(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    client = acme.client()
    made = start(client, send(client).id)
    account.finish(made.id, usage=None)
    client.batches.retrieve(made.id)
    acme.records(4)
    [record] = paid(acme)
    assert (record.cost_usd, record.flags) == (None, ["paid_later", "unpriced"])


def test_a_batch_that_failed_at_once_costs_nothing(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    client = acme.client()
    made = start(client, send(client).id)
    account.finish(made.id, "failed", usage=None)
    client.batches.retrieve(made.id)
    eventually(lambda: not OwnedObject.objects.get(upstream_id=made.id).awaited, what="the end")
    acme.records(3)
    assert paid(acme) == []


def test_long_contexts_are_not_made_of_many_short_ones(acme: Tenant, account: FakeAccount) -> None:
    half_price(acme)
    price_set(
        organization=acme.organization,
        provider="openai_compatible",
        model="gpt-test",
        above_input_tokens=500,
        prices={"input": Decimal(200), "output": Decimal(800)},
        effective_from=LONG_AGO,
        actor=ACTOR,
    )
    client = acme.client()
    made = start(client, send(client).id)
    account.finish(made.id, usage=USAGE)
    client.batches.retrieve(made.id)
    acme.records(4)
    [record] = paid(acme)
    assert record.cost_usd == COST


def test_the_files_that_a_batch_makes_are_its_services(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    made = start(client, send(client).id)
    account.finish(made.id, output=b'{"custom_id": "c1"}\n')
    output = client.batches.retrieve(made.id).output_file_id
    assert client.files.content(output).read() == b'{"custom_id": "c1"}\n'
    assert [each.purpose for each in client.files.list()] == ["batch_output", "batch"]
    _, plaintext = rival(acme)
    refused(lambda: acme.client(token=plaintext).files.content(output), openai.NotFoundError, "object_not_found")


def test_an_unpriced_model_is_refused_where_a_policy_wants_its_price_known(acme: Tenant, account: FakeAccount) -> None:
    file = send(acme.client())
    row, plaintext = acme.issue_token()
    inline_set(layer="token", token=row, fields={"unpriced": "deny"}, actor=ACTOR)
    refused(lambda: start(acme.client(token=plaintext), file.id), openai.PermissionDeniedError, "model_unpriced")


def test_large_batches_pass_through_the_disk(gateway: GatewayProcess, upstream: FakeProvider) -> None:
    with GatewayProcess({"UPSTREAM_ATTEMPTS": "1"}) as alone, tenant(alone, upstream) as acme:
        account = FakeAccount(uuid4().hex[:6])
        upstream.replies(account, always=True)
        send(acme.client())
        before = alone.memory
        one = line(1, model="renamed", messages=[{"role": "user", "content": "a" * 2000}])
        lines = [one] * 20_000  # 42 MB
        file = send(acme.client(), *lines)
        assert account.files[file.id][1].count(b"\n") == 20_000
        assert alone.memory - before < 6 << 20
