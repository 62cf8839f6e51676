"""Responses that a provider stores: each belongs to the service that made it, and leads back to the account that has it."""

import json
import threading
from decimal import Decimal
from typing import Any
from uuid import uuid4

import openai
import pytest

from apps.core.errors import InvalidValue
from apps.gateway.objects.owners import FILE
from apps.gateway.objects.references import ITEM, Reference, references
from apps.objects.models import OwnedObject
from apps.policies.actions.policies import inline_set
from apps.providers.actions import credential_drain
from apps.providers.dialects import openai as dialect
from tests.gateway.test_objects import rival
from tests.gateway.test_refusals import refused
from tests.support import bodies
from tests.support.account import FakeAccount
from tests.support.bodies import Json
from tests.support.gateway import GatewayProcess, eventually, gateways
from tests.support.governed import EACH, budget, priced
from tests.support.provider import CLOSE, HANG, FakeProvider
from tests.support.switch import DatabaseSwitch
from tests.support.tenant import ACTOR, Tenant, tenant


def ask(acme: Tenant, *, token: str | None = None, **options: Any) -> Any:
    asked: Any = {"model": "gpt-test", "input": "Hi", **options}
    return acme.client(token=token).responses.create(**asked)


def row(acme: Tenant, response: str = "resp_fake") -> OwnedObject:
    return OwnedObject.objects.get(upstream_id=response, organization=acme.organization)


# --- Whose it is ---


def test_a_response_is_its_services_to_show_and_to_delete(acme: Tenant, account: FakeAccount) -> None:
    client = acme.client()
    made = ask(acme)
    assert client.responses.retrieve(made.id).id == made.id
    assert list(client.responses.input_items.list(made.id)) == []
    client.responses.delete(made.id)
    assert account.responses == {}
    refused(lambda: client.responses.retrieve(made.id), openai.NotFoundError, "object_not_found")
    assert [record.endpoint for record in acme.records(5)] == ["responses", *["stored_responses"] * 4]


def test_another_service_finds_it_as_little_as_one_that_is_not_there(acme: Tenant, account: FakeAccount) -> None:
    made = ask(acme)
    _, plaintext = rival(acme)
    other = acme.client(token=plaintext).responses
    asked = len(account.asked)
    for call in (other.retrieve, other.delete, other.cancel, lambda each: list(other.input_items.list(each))):
        refused(lambda call=call: call(made.id), openai.NotFoundError, "object_not_found")  # type: ignore[misc]
    error = refused(
        lambda: ask(acme, token=plaintext, previous_response_id=made.id), openai.NotFoundError, "object_not_found"
    )
    assert error.param == "previous_response_id"
    assert len(account.asked) == asked


def test_a_response_that_is_not_stored_has_no_owner(acme: Tenant, account: FakeAccount) -> None:
    made = ask(acme, store=False)
    assert not OwnedObject.objects.filter(upstream_id=made.id).exists()
    refused(lambda: ask(acme, previous_response_id=made.id), openai.NotFoundError, "object_not_found")


def test_a_provider_that_stores_nothing_owns_nothing(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_route("plain", upstream.url, provider="groq")
    ask(acme, model="plain")
    assert not OwnedObject.objects.filter(organization=acme.organization).exists()


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_that_nobody_made_here_is_not_found(
    acme: Tenant, account: FakeAccount, conversation: Any
) -> None:
    error = refused(lambda: ask(acme, conversation=conversation), openai.NotFoundError, "object_not_found")
    assert error.param == "conversation"


def test_the_scope_is_that_of_responses(acme: Tenant, account: FakeAccount) -> None:
    made = ask(acme)
    _, plaintext = acme.issue_token(scopes=["responses"])
    acme.client(token=plaintext).responses.retrieve(made.id)
    _, plaintext = acme.issue_token(scopes=["chat_completions"])
    other = acme.client(token=plaintext)
    refused(lambda: other.responses.retrieve(made.id), openai.PermissionDeniedError, "endpoint_not_allowed")


# --- Ids lead back ---


@pytest.fixture
def two(acme: Tenant) -> Any:
    """A second account that serves the same model `both`, after the first."""
    with FakeProvider() as elsewhere:
        other = FakeAccount("other")
        elsewhere.replies(other, always=True)
        acme.add_credential(elsewhere.url + "/v1", label="second", priority=200)
        acme.add_model("both", credential=None)
        acme.add_route("far", elsewhere.url + "/v1", upstream_name="both", priority=300)
        yield other


def test_an_answer_to_a_response_comes_from_the_account_that_has_it(
    acme: Tenant, account: FakeAccount, two: FakeAccount
) -> None:
    first = ask(acme, model="both")
    account.asked.clear()
    ask(acme, model="both", previous_response_id=first.id)
    assert (account.asked, two.asked) == (["POST /responses"], [])


def test_a_response_of_another_account_than_the_models_is_refused(
    acme: Tenant, account: FakeAccount, two: FakeAccount
) -> None:
    far = ask(acme, model="far")
    error = refused(
        lambda: ask(acme, model="gpt-test", previous_response_id=far.id), openai.BadRequestError, "invalid_value"
    )
    assert error.param == "previous_response_id"


def test_every_gateway_knows_whose_a_response_is() -> None:
    with gateways(2) as (one, two), FakeProvider() as upstream, tenant(one, upstream) as acme:
        upstream.replies(FakeAccount(uuid4().hex[:6]), always=True)
        made = ask(acme)
        answer = acme.http(gateway=two).post(
            "/v1/responses", json={"model": "gpt-test", "input": "Go on", "previous_response_id": made.id}
        )
        assert answer.status_code == 200, answer.text
        assert acme.http(gateway=two).get(f"/v1/responses/{made.id}").status_code == 200


def test_items_are_their_services_as_their_responses_are(acme: Tenant, account: FakeAccount) -> None:
    made = ask(acme)
    item = made.output[0].id
    assert row(acme, made.id).items == [item]
    references: list[Json] = [{"type": "item_reference", "id": item}, {"role": "user", "content": "And?"}]
    ask(acme, input=references)
    _, plaintext = rival(acme)
    for each in (references, [{"id": item}], [{"type": "item_reference", "id": "msg_nobody"}]):
        error = refused(
            lambda each=each: ask(acme, token=plaintext, input=each),  # type: ignore[misc]
            openai.NotFoundError,
            "object_not_found",
        )
        assert error.param == "input[0].id"


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_without_their_content_go_first_to_who_has_stored_them(
    acme: Tenant, account: FakeAccount, upstream: FakeProvider, *, stream: bool
) -> None:
    output = [{"type": "reasoning", "id": "rs_1", "summary": []}, *bodies.response()["output"]]
    thought = {**bodies.response(), "output": output}
    with FakeProvider() as other:
        if stream:
            begun = {**thought, "status": "in_progress", "output": []}
            kinds = (("response.created", begun), ("response.completed", thought))
            other.streams_raw([bodies.event({"type": kind, "response": told}) for kind, told in kinds], always=True)
        else:
            other.answers(thought, always=True)
        acme.add_route("both", f"{other.url}/v1", label="first", provider="openai", priority=1)
        answer = ask(acme, model="both", stream=stream)
        if stream:
            list(answer)
        acme.add_route("both", f"{upstream.url}/v1", label="better", provider="openai", priority=0)
        eventually(lambda: asked_of(acme, upstream, [{"role": "user", "content": "Hi"}]), what="the second account")
        back = {"type": "reasoning", "id": "rs_1", "summary": []}
        question = {"role": "user", "content": "And?"}
        assert asked_of(acme, other, [back, question], stream=stream)
        # With its content anybody can read it, and what nobody knows is the provider's to judge.
        assert asked_of(acme, upstream, [{**back, "encrypted_content": "gAAA"}, question])
        assert asked_of(acme, upstream, [{**back, "id": "rs_unknown"}, question])
        _, plaintext = rival(acme)
        assert asked_of(acme, upstream, [back, question], token=plaintext)


def asked_of(acme: Tenant, provider: FakeProvider, items: list[Json], **options: Any) -> bool:
    """Whether it was this provider that answered."""
    before = len(provider.requests)
    answer = ask(acme, model="both", input=items, **options)
    if options.get("stream"):
        list(answer)
    return len(provider.requests) == before + 1


def test_items_of_a_stream_can_be_referred_to(acme: Tenant, account: FakeAccount) -> None:
    events = list(ask(acme, stream=True))
    item = events[-1].response.output[0].id
    ask(acme, input=[{"type": "item_reference", "id": item}])


def test_what_an_answer_repeats_of_itself_is_no_reference() -> None:
    """Clients send the items of earlier answers back whole, with their ids."""
    items = [
        {"type": "message", "role": "assistant", "id": "msg_1", "content": []},
        {"role": "assistant", "id": "msg_2", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "image_generation_call", "id": "ig_1", "result": "iVBORw0KGgo="},
    ]
    assert found(items) == []


@pytest.mark.parametrize("name", ["schema", "format", "parameters", "tools[0]"])
def test_a_prompts_variable_may_be_called_anything_and_hides_no_file(name: str) -> None:
    prompt = {"id": "pmpt_1", "variables": {name: {"type": "input_file", "file_id": "file-1"}}}
    body = json.dumps({"model": "m", "prompt": prompt}).encode()
    read = references("responses", dialect.read_head(body, "responses"), body)
    assert [each for each in read if each.kind == FILE] == [
        Reference(FILE, "file-1", f"prompt.variables.{name}.file_id")
    ]


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([{"type": "item_reference", "id": "a"}], "input[0].id"),
        ([{"role": "user", "content": "x"}, {"id": "a"}], "input[1].id"),
        ([{"id": "a", "type": None}], "input[0].id"),
        ([{"type": 5, "id": "b"}, {"type": "item_reference", "id": "a"}], "input[1].id"),
        ([{"id": 5, "type": "message"}, {"id": "a"}], "input[1].id"),
        ([{"type": "image_generation_call", "id": "a"}], "input[0].id"),
        (
            [{"role": "user", "content": "x"}, {"type": "image_generation_call", "id": "a", "result": None}],
            "input[1].id",
        ),
    ],
)
def test_an_item_named_by_its_id_alone_is_a_reference(items: list[Json], param: str) -> None:
    assert found(items) == [Reference(ITEM, "a", param)]


def test_a_request_refers_to_a_bounded_number_of_things() -> None:
    with pytest.raises(InvalidValue):
        found([{"type": "item_reference", "id": "a"}] * 1001)


def found(items: Any) -> list[Reference]:
    body = json.dumps({"model": "m", "input": items}).encode()
    return references("responses", dialect.read_head(body, "responses"), body)


# --- Before the id leaves ---


def test_a_stream_has_its_owner_before_its_first_event_leaves(acme: Tenant, upstream: FakeProvider) -> None:
    first, *rest = bodies.response_events()
    hold = threading.Event()
    upstream.streams_raw([first, hold, *rest])
    stream = ask(acme, stream=True)
    event = next(stream)
    assert event.type == "response.created"
    assert row(acme).service == acme.service
    hold.set()
    list(stream)
    assert row(acme).items == ["msg_fake"]


def test_a_first_event_in_pieces_is_held_until_it_is_whole(acme: Tenant, upstream: FakeProvider) -> None:
    """As it repeats instructions and tools, it may be large."""
    created = {**bodies.response(status="in_progress"), "instructions": "a" * 300_000}
    first = bodies.event({"type": "response.created", "response": created}, name="response.created")
    half = threading.Event()
    upstream.streams_raw([first[:100_000], half, first[100_000:], *list(bodies.response_events())[1:]])
    got: list[Any] = []
    reading = threading.Thread(target=lambda: got.extend(ask(acme, stream=True)))
    reading.start()
    upstream.next_request()
    assert not OwnedObject.objects.filter(organization=acme.organization).exists()
    half.set()
    reading.join()
    assert got[0].type == "response.created"
    assert len(got[0].response.instructions) == 300_000
    assert got[-1].type == "response.completed"
    assert row(acme).items == ["msg_fake"]


def test_a_stream_that_breaks_off_has_its_owner(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw([*list(bodies.response_events())[:2], CLOSE])
    assert [each.type for each in ask(acme, stream=True)][-1] == "error"
    assert row(acme).service == acme.service


def test_a_large_answer_has_its_owner(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(bodies.response("a" * 3_000_000))
    ask(acme)
    assert row(acme).items == ["msg_fake"]


def test_calls_go_on_while_the_database_is_away() -> None:
    """What is answered meanwhile can be referred to by nobody: its record says so."""
    from tests.support.gateway import test_database_url

    with DatabaseSwitch(test_database_url()) as switch, FakeProvider() as upstream:
        upstream.replies(FakeAccount(uuid4().hex[:6]), always=True)
        with GatewayProcess({"DATABASE_URL": switch.url}) as gateway, tenant(gateway, upstream) as acme:
            known = ask(acme)
            switch.off()
            eventually(lambda: not connected(gateway), what="a gateway that has noticed")
            lost = ask(acme)
            assert list(ask(acme, stream=True))[-1].type == "response.completed"
            ask(acme, previous_response_id=known.id)  # which this process remembers
            refused(
                lambda: ask(acme, previous_response_id="resp_other"), openai.InternalServerError, "objects_unavailable"
            )
            refused(
                lambda: acme.client().responses.retrieve(known.id), openai.InternalServerError, "objects_unavailable"
            )
            switch.on()
            eventually(lambda: connected(gateway), what="the database")
            records = acme.records(6, timeout=30)
            assert [record.flags for record in records if record.status == 200] == [
                ["unpriced"],
                *[["unpriced", "unowned"]] * 3,
            ]
            refused(lambda: acme.client().responses.retrieve(lost.id), openai.NotFoundError, "object_not_found")


def connected(gateway: GatewayProcess) -> bool:
    return gateway.metrics()["tollgate_directory_connected"] == 1


# --- What it costs ---


def test_showing_a_response_costs_nothing(acme: Tenant, account: FakeAccount) -> None:
    priced(acme, input=Decimal(2), output=Decimal(8))
    made = ask(acme)
    client = acme.client()
    client.responses.retrieve(made.id)
    events = list(client.responses.retrieve(made.id, stream=True, starting_after=1))
    assert events[-1].type == "response.completed"
    shown = acme.records(3)[1:]
    assert [(record.cost_usd, record.input_tokens, record.stream) for record in shown] == [
        (None, None, False),
        (None, None, True),
    ]
    assert acme.records(3)[0].cost_usd


def test_the_query_goes_on_but_for_what_is_ours(acme: Tenant, account: FakeAccount, upstream: FakeProvider) -> None:
    made = ask(acme)
    acme.http(authorized=False).get(
        f"/openai/v1/responses/{made.id}?include=reasoning.encrypted_content&api-version=preview&stream=true"
        f"&starting_after=7",
        headers={"api-key": acme.token},
    )
    assert upstream.requests[-1].path == (
        f"/v1/responses/{made.id}?include=reasoning.encrypted_content&stream=true&starting_after=7"
    )


def test_a_response_in_the_background_is_paid_for_once_when_it_is_over(acme: Tenant, account: FakeAccount) -> None:
    priced(acme, input=Decimal(2), output=Decimal(8))
    made = ask(acme, background=True)
    assert made.status == "queued"
    assert row(acme, made.id).awaited is True
    account.answer(made.id)
    for _ in range(3):
        assert acme.client().responses.retrieve(made.id).status == "completed"
    records = acme.records(5)
    cost = (9 * 2 + 2 * 8) / Decimal(10**6)
    assert [record.cost_usd for record in records if record.cost_usd is not None] == [cost]
    [paid] = [record for record in records if "paid_later" in record.flags]
    assert (paid.endpoint, paid.input_tokens, paid.output_tokens) == ("responses", 9, 2)
    assert not row(acme, made.id).awaited
    assert row(acme, made.id).items == ["msg_fake"]


def test_a_response_in_the_background_is_paid_for_before_it_is_deleted(acme: Tenant, account: FakeAccount) -> None:
    priced(acme)
    client = acme.client()
    made = ask(acme, background=True)
    error = refused(lambda: client.responses.delete(made.id), openai.BadRequestError, "invalid_value")
    assert error.param == "id"
    assert made.id in account.responses

    account.answer(made.id)
    list(client.responses.retrieve(made.id, stream=True))  # all of the answer, and nobody has asked how it stands
    client.responses.delete(made.id)
    assert made.id not in account.responses
    records = eventually(lambda: [each for each in acme.records() if "paid_later" in each.flags], what="the record")
    assert [each.cost_usd for each in records] == [EACH]


def test_a_background_stream_that_is_read_to_its_end_pays_by_itself(acme: Tenant, account: FakeAccount) -> None:
    priced(acme, input=Decimal(2), output=Decimal(8))
    events = bodies.response_events()
    acme.upstream.streams_raw(list(events))
    list(ask(acme, background=True, stream=True))
    assert not row(acme).awaited
    [record] = acme.records()
    assert record.cost_usd == (9 * 2 + 2 * 8) / Decimal(10**6)


def test_a_background_stream_that_is_left_is_paid_for_when_it_is_over(acme: Tenant, upstream: FakeProvider) -> None:
    """The provider goes on with it: what had come by then is not charged as well."""
    priced(acme, input=Decimal(2), output=Decimal(8))
    upstream.streams_raw([*list(bodies.response_events())[:4], HANG])
    stream = ask(acme, background=True, stream=True)
    next(stream)
    stream.close()
    assert upstream.hung_up.wait(timeout=5)
    [left] = acme.records()
    assert (left.status, left.cost_usd) == (499, None)
    assert row(acme).awaited is True
    upstream.answers({**bodies.response(), "background": True})
    acme.client().responses.retrieve("resp_fake")
    costs = [record.cost_usd for record in acme.records(3) if record.cost_usd is not None]
    assert costs == [(9 * 2 + 2 * 8) / Decimal(10**6)]


def test_a_budget_still_refuses_what_is_known_only_later(acme: Tenant, account: FakeAccount) -> None:
    priced(acme, input=Decimal(2), output=Decimal(8))
    budget(acme, "100")
    error = refused(lambda: ask(acme, background=True), openai.BadRequestError, "invalid_value")
    assert error.param == "background"


# --- Counting, making shorter, calling off ---


def test_counting_a_responses_input_is_free(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"object": "response.input_tokens", "input_tokens": 11})
    inline_set(layer="token", token=acme.token_row, fields={"requests_per_minute": 0}, actor=ACTOR)
    answer = acme.client().responses.input_tokens.count(model="renamed", input="Hi")
    assert answer.input_tokens == 11
    request = upstream.requests[0]
    assert (request.path, request.json["model"]) == ("/v1/responses/input_tokens", "upstream/other")
    assert acme.record().cost_usd is None


def test_making_a_conversation_shorter_is_billed(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, input=Decimal(2), output=Decimal(8))
    usage = bodies.response()["usage"]
    upstream.answers({"id": "resp_c", "object": "response.compaction", "created_at": 1, "output": [], "usage": usage})
    answer = acme.client().responses.compact(model="gpt-test", input="Hi")
    assert answer.object == "response.compaction"
    assert upstream.requests[0].path == "/v1/responses/compact"
    record = acme.record()
    assert (record.endpoint, record.cost_usd) == ("compaction", (9 * 2 + 2 * 8) / Decimal(10**6))


def test_what_is_called_off_is_over(acme: Tenant, account: FakeAccount) -> None:
    made = ask(acme, background=True)
    assert acme.client().responses.cancel(made.id).status == "cancelled"
    eventually(lambda: not row(acme, made.id).awaited, what="a response that is over")


def test_a_response_on_a_drained_account_can_still_be_read_and_answered(acme: Tenant, account: FakeAccount) -> None:
    made = ask(acme)
    credential_drain(credential=acme.credential, actor=ACTOR)
    eventually(
        lambda: acme.http().post("/v1/responses", json={"model": "gpt-test", "input": "x"}).status_code == 502,
        what="a drained credential",
    )
    assert acme.client().responses.retrieve(made.id).id == made.id
    assert ask(acme, previous_response_id=made.id).id in account.responses, "and be answered"
