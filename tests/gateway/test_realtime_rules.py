"""What policies, limits and budgets mean for a realtime session, from its opening to its end."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.policies.counters.control import holds
from apps.policies.models import Budget
from apps.policies.selectors.budgets import BudgetState, budget_states
from apps.providers.actions import credential_disable
from apps.services.actions import token_revoke
from tests.gateway.realtime import COST, PRICES, WORST, by_endpoint, voiced
from tests.support.gateway import eventually
from tests.support.governed import budget, priced, ruled, settled, spent
from tests.support.realtime import Client, RealtimeProvider, add_realtime, session, waits
from tests.support.tenant import ACTOR, Tenant

PLENTY = "1000"


@pytest.fixture
def provider() -> Iterator[RealtimeProvider]:
    with RealtimeProvider() as made:
        yield made


@pytest.fixture
def acme(acme: Tenant, provider: RealtimeProvider) -> Tenant:
    return voiced(acme, provider)


def state(made: Budget) -> BudgetState:
    (found,) = budget_states([made])
    return found


def holding(made: Budget, usd: Decimal) -> None:
    eventually(lambda: state(made).held_usd == usd, what=f"{usd} held ({state(made).held_usd})")


def charged(acme: Tenant, made: Budget, usd: Decimal) -> None:
    """Records and counters agree, once all of it has arrived."""
    eventually(lambda: spent(acme) == usd, what=f"records of {usd} ({spent(acme)})")
    eventually(lambda: state(made).source == "counters" and state(made).spent_usd == usd, timeout=30, what="counters")
    assert settled(made).spent_usd == usd


def refused(acme: Tenant, status: int, code: str, **options: Any) -> dict[str, Any]:
    with pytest.raises(InvalidStatus) as caught, session(acme, **options):
        pass
    answer = caught.value.response
    error: dict[str, Any] = json.loads(answer.body or b"")["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    return error


# --- Policies ---


def test_a_policy_may_keep_realtime_out(acme: Tenant, provider: RealtimeProvider) -> None:
    ruled(acme, denied_endpoints=["realtime"])
    refused(acme, 403, "endpoint_not_allowed")
    assert not provider.lines


def test_a_model_that_is_denied_is_denied_here_too(acme: Tenant) -> None:
    ruled(acme, denied_models=["gpt-realtime"])
    refused(acme, 403, "model_not_allowed")


def test_a_cap_of_output_tokens_holds_for_every_response(acme: Tenant, provider: RealtimeProvider) -> None:
    ruled(acme, max_output_tokens=100)
    with session(acme) as client:
        (opened,) = client.heard
        assert opened["session"]["max_output_tokens"] == 100
        for asked in (50, 5000, "inf", 0, None):
            client.say("session.update", session={"type": "realtime", "max_output_tokens": asked})
            client.until("session.updated")
        client.say("response.create", response={"max_output_tokens": 4096})
        client.until("response.done")
        client.respond()
    line = provider.line
    updates = [event["session"]["max_output_tokens"] for event in line.asked("session.update")]
    assert updates == [100, 50, 100, 100, 100, 100]
    first, second = line.asked("response.create", 2)
    assert first["response"] == {"max_output_tokens": 100}
    assert "response" not in second
    # What the gateway itself asked is no event of the client's.
    assert [event["type"] for event in client.heard].count("session.created") == 1


def test_the_first_form_of_the_api_has_its_own_name_for_the_cap(acme: Tenant, provider: RealtimeProvider) -> None:
    provider.session = {"object": "realtime.session", "max_response_output_tokens": "inf"}
    ruled(acme, max_output_tokens=100)
    with session(acme) as client:
        assert client.heard[0]["session"]["max_response_output_tokens"] == 100
    assert provider.line.asked("session.update")[0]["session"] == {"max_response_output_tokens": 100}


def test_a_provider_that_does_not_take_the_cap_has_no_session(acme: Tenant, provider: RealtimeProvider) -> None:
    provider.refuses_update = "unknown_parameter"
    ruled(acme, max_output_tokens=100)
    with session(acme) as client:
        assert client.ended()[0] == 1008
    kinds = [event["type"] for event in client.heard]
    assert kinds == ["session.created", "error", "error"]
    assert by_endpoint(acme, 1)["realtime"][0].error_code == "invalid_value"
    assert not [event for event in provider.line.received if event["type"] == "response.create"]


def test_a_cap_of_nothing_allows_no_session(acme: Tenant) -> None:
    ruled(acme, max_output_tokens=0)
    refused(acme, 403, "not_allowed")


def test_a_revoked_token_ends_its_sessions(acme: Tenant) -> None:
    with session(acme) as client:
        began = time.monotonic()
        token_revoke(token=acme.token_row, actor=ACTOR)
        assert client.ended() == (1008, "invalid_api_key")
        assert time.monotonic() - began < 3
    assert client.heard[-1]["error"]["message"].startswith("This token was revoked")
    assert by_endpoint(acme, 1)["realtime"][0].error_code == "token_revoked"


def test_a_policy_that_changes_ends_what_it_does_not_allow(acme: Tenant) -> None:
    with session(acme) as client:
        client.respond()
        ruled(acme, denied_models=["gpt-realtime"])
        assert client.ended() == (1008, "model_not_allowed")


def test_a_credential_that_is_taken_away_takes_its_sessions_along(acme: Tenant) -> None:
    credential = acme.models["gpt-realtime"].credential
    assert credential is not None
    with session(acme) as client:
        credential_disable(credential=credential, actor=ACTOR)
        code, reason = client.ended()
    assert (code, reason) == (1011, "no_credential")


# --- Budgets ---


def test_a_response_is_held_for_before_it_begins_and_settled_by_what_it_cost(
    acme: Tenant, provider: RealtimeProvider
) -> None:
    made = budget(acme, PLENTY)
    provider.answers = False
    with session(acme) as client:
        holding(made, WORST)
        line = provider.line
        id_ = line.begin()
        client.until("response.created")
        holding(made, WORST)  # what was held for the next one is now for this one, and no other can begin
        line.end(id_)
        client.until("response.done")
        eventually(lambda: state(made).spent_usd == COST, what="what it cost")
        holding(made, WORST)
    charged(acme, made, COST)
    assert not holds(organization=acme.organization)


def test_a_session_that_says_nothing_costs_nothing(acme: Tenant) -> None:
    made = budget(acme, PLENTY)
    with session(acme):
        holding(made, WORST)
    assert settled(made).spent_usd == 0
    assert [record.endpoint for record in acme.records(1)] == ["realtime"]


def test_the_cap_of_a_policy_narrows_what_is_held(acme: Tenant) -> None:
    made = budget(acme, PLENTY)
    ruled(acme, max_output_tokens=1000)
    with session(acme):
        holding(made, (128_000 * PRICES["audio_input"] + 1000 * PRICES["audio_output"]) / 10**6)


def test_without_room_for_a_response_there_is_no_session(acme: Tenant, provider: RealtimeProvider) -> None:
    budget(acme, "5")
    error = refused(acme, 402, "budget_exceeded")
    assert error["limit"] == "5.00"
    assert not provider.lines
    record = acme.record()
    assert (record.endpoint, record.error_code) == ("realtime", "budget_exceeded")
    assert record.decision is not None
    assert record.decision["refused"] == ["budget", 0]


def test_a_session_ends_when_no_further_response_fits(acme: Tenant) -> None:
    made = budget(acme, str(WORST + COST))
    with session(acme) as client:
        client.respond()
        client.respond()
        assert client.ended() == (1008, "budget_exceeded")
    error = client.heard[-1]["error"]
    assert (error["type"], error["code"], error["scope"]) == ("insufficient_quota", "budget_exceeded", "organization")
    assert settled(made).spent_usd == 2 * COST
    found = by_endpoint(acme, 3)
    assert [record.error_code for record in found["realtime_response"]] == ["", ""]
    (whole,) = found["realtime"]
    assert (whole.status, whole.error_code) == (402, "budget_exceeded")
    assert whole.decision is not None


def test_a_model_without_a_price_has_no_session_where_a_budget_applies(
    acme: Tenant, provider: RealtimeProvider
) -> None:
    add_realtime(acme, provider, "unpriced")
    budget(acme, PLENTY)
    refused(acme, 403, "model_unpriced", query="model=unpriced")


def test_responses_outside_of_the_conversation_are_held_for_when_they_are_asked_for(
    acme: Tenant, provider: RealtimeProvider
) -> None:
    made = budget(acme, str(3 * WORST))
    provider.answers = False
    aside = {"conversation": "none"}
    with session(acme) as client:
        client.say("response.create", response=aside)
        client.say("response.create", event_id="mine", response=aside)
        line = provider.line
        first, second = line.asked("response.create", 2)
        assert first["event_id"].startswith("event_")  # so that its refusal can be told
        assert second["event_id"] == "mine"
        holding(made, 3 * WORST)
        client.say("response.create", event_id="third", response=aside)
        error = client.until("error")["error"]
        assert (error["code"], error["event_id"]) == ("budget_exceeded", "third")
        one, two = line.begin(None), line.begin(None)
        client.until("response.created")
        client.until("response.created")
        holding(made, 3 * WORST)
        line.end(two)
        client.until("response.done")
        eventually(lambda: state(made).held_usd == 2 * WORST, what="what is left")
        line.end(one)
        client.until("response.done")
        client.say("response.create", event_id="fourth", response=aside)
        line.asked("response.create", 3)
        holding(made, 2 * WORST)
        line.say({"type": "error", "error": {"code": "nope", "event_id": "fourth", "message": "No."}})
        client.until("error")
        holding(made, WORST)
    assert settled(made).spent_usd == 2 * COST


def test_a_response_that_nobody_expected_is_held_for_as_it_begins(acme: Tenant, provider: RealtimeProvider) -> None:
    made = budget(acme, str(2 * WORST))
    provider.answers = False
    with session(acme) as client:
        line = provider.line
        one, two = line.begin(), line.begin()  # two at once in the conversation, which there should not be
        client.until("response.created")
        client.until("response.created")
        holding(made, 2 * WORST)
        line.end(one)
        line.end(two)
        client.until("response.done")
        client.until("response.done")
    assert settled(made).spent_usd == 2 * COST


def test_a_response_that_begins_without_room_ends_the_session_and_is_charged(
    acme: Tenant, provider: RealtimeProvider
) -> None:
    made = budget(acme, str(WORST))
    provider.answers = False
    with session(acme) as client:
        client.say("conversation.item.create", item={"type": "message", "text": "x" * 400})
        line = provider.line
        line.asked("conversation.item.create")
        line.begin()
        line.begin()
        assert client.ended() == (1008, "budget_exceeded")
    found = by_endpoint(acme, 3)["realtime_response"]
    assert len(found) == 2
    assert {record.error_code for record in found} == {"budget_exceeded"}
    total = sum(record.cost_usd or 0 for record in found)
    assert total
    # Though nothing was held for one of them: the budget is built anew from the records, when the next call asks for it.

    def built_anew() -> bool:
        refused(acme, 402, "budget_exceeded")
        (state,) = budget_states([made])
        return state.source == "counters" and state.held_usd == 0 and state.spent_usd == total

    eventually(built_anew)


def test_transcripts_are_held_for(acme: Tenant, provider: RealtimeProvider) -> None:
    add_realtime(acme, provider, "scribe")  # of another credential
    credential = acme.models["gpt-realtime"].credential
    assert credential is not None
    acme.add_model("whisper", credential=credential, upstream_name="whisper-1")
    priced(acme, "whisper-1", per_second=Decimal(100))
    provider.transcribed = {"type": "duration", "seconds": 3}
    made = budget(acme, PLENTY)
    block = 600 * Decimal(100) / 10**6
    with session(acme) as client:
        holding(made, WORST)
        update = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper"}}}}
        client.say("session.update", session=update)
        client.until("session.updated")
        holding(made, WORST + block)
        sound = "A" * (8_000 * 650 * 4 // 3)  # 650 seconds, if it came by telephone
        client.say("input_audio_buffer.append", audio=sound)
        provider.line.asked("input_audio_buffer.append")
        holding(made, WORST + 2 * block)
        client.say("input_audio_buffer.commit")
        client.until("conversation.item.input_audio_transcription.completed")
        holding(made, WORST + block)
        client.say("session.update", session={"audio": {"input": {"transcription": None}}})
        client.until("session.updated")
        holding(made, WORST)
    charged(acme, made, Decimal("0.0003"))


def test_a_budget_of_an_end_user_counts_sessions_that_name_one(acme: Tenant) -> None:
    from apps.policies.actions.budgets import Subject

    made = budget(acme, str(WORST), subject=Subject("end_user", end_user="ana"))
    ana = {"OpenAI-Safety-Identifier": "ana"}
    with session(acme, headers=ana) as client:
        client.respond()
        assert client.ended() == (1008, "budget_exceeded")
    refused(acme, 402, "budget_exceeded", headers=ana)
    with session(acme, headers={"OpenAI-Safety-Identifier": "bob"}) as client:
        client.respond()
    assert settled(made).spent_usd == COST


# --- Limits ---


def test_a_session_takes_one_of_the_slots_as_long_as_it_lasts(acme: Tenant) -> None:
    ruled(acme, concurrent_requests=1)
    with session(acme) as client:
        client.respond()  # within it
        refused(acme, 429, "rate_limit_exceeded")
        client.respond()

    def again() -> bool:
        try:
            with session(acme) as client:
                client.respond()
                return True
        except InvalidStatus:
            return False

    eventually(again, what="the slot that was given back")


def test_where_a_limit_of_a_minute_is_reached_the_client_waits(acme: Tenant, provider: RealtimeProvider) -> None:
    ruled(acme, requests_per_minute=60)
    with session(acme) as client:
        began = time.monotonic()
        for _ in range(60):  # the session is one request, and each response another
            client.respond()
        assert time.monotonic() - began > 0.5
        told = [event["error"] for event in client.heard if event["type"] == "error"]
        assert told
        assert {error["code"] for error in told} == {"rate_limit_exceeded"}
        assert told[0]["kind"] == "requests"
    found = by_endpoint(acme, 61)
    assert len(found["realtime_response"]) == 60
    assert found["realtime"][0].error_code == ""


def test_events_wait_while_there_is_no_room_and_are_not_lost(acme: Tenant, provider: RealtimeProvider) -> None:
    ruled(acme, requests_per_minute=20)  # one in three seconds
    with session(acme) as client:
        while not any(event["type"] == "error" for event in client.heard):
            client.respond()
            provider.line.say({"type": "mark"})
            client.until("mark")
        line = provider.line
        before = len(line.received)
        for number in range(5):
            client.say("input_audio_buffer.append", audio="AAAA", event_id=str(number))
        assert waits(lambda: len(line.received) > before)
        line.say({"type": "still.here"})  # the other way is free
        client.until("still.here")
        found = line.asked("input_audio_buffer.append", 5)
    assert [event["event_id"] for event in found] == ["0", "1", "2", "3", "4"]


def test_tokens_of_responses_count_for_the_minute(acme: Tenant) -> None:
    ruled(acme, tokens_per_minute=9000)  # 150 a second, and each response has 150
    with session(acme) as client:
        while not any(event["type"] == "error" for event in client.heard):
            client.respond()
        client.respond()
        assert len([event for event in client.heard if event["type"] == "response.done"]) >= 60
    assert client.heard[-1]["type"] != "error"


def talk(client: Client, count: int) -> None:
    for _ in range(count):
        client.respond()


def test_many_sessions_spend_no_more_than_a_budget_has(acme: Tenant) -> None:
    """Six at once, each until it is refused: what all of them cost is what the budget has counted, and not above it."""
    import threading

    made = budget(acme, str(3 * WORST))
    opened, closed = [], []

    def one() -> None:
        try:
            with session(acme) as client:
                opened.append(client)
                talk(client, 10)
        except InvalidStatus:
            closed.append(1)
        except ConnectionClosed:
            pass  # no room for a further one

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = sum(event["type"] == "response.done" for client in opened for event in client.heard)
    assert done
    assert len(opened) + len(closed) == 6
    charged(acme, made, done * COST)


def test_a_beginning_that_is_told_twice_is_held_for_once(acme: Tenant, provider: RealtimeProvider) -> None:
    made = budget(acme, PLENTY)
    with session(acme) as client:
        id_ = provider.line.begin()
        provider.line.say({"type": "response.created", "response": {"id": id_, "conversation_id": "conv_1"}})
        provider.line.end(id_)
        client.until("response.done")
    charged(acme, made, COST)
    holding(made, Decimal(0))
