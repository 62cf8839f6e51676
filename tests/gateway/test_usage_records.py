"""What a provider says of a call's usage stands in the call's record, answer or stream; what it does not say is our count."""

import json
from typing import TYPE_CHECKING, Any

from apps.providers.usage import Usage, from_columns
from tests.support import bodies
from tests.support.provider import CLOSE, FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

HI: list[Any] = [{"role": "user", "content": "Hi"}]
SPENT = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}


def recorded(acme: "Tenant", path: str, **body: Any) -> Usage:
    reply = acme.http().post(f"/v1/{path}", json={"model": "gpt-test", **body})
    record = acme.record(reply.headers["x-request-id"])
    return from_columns(vars(record))


def event(**data: Any) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def test_a_record_keeps_the_tier_that_was_served(acme: "Tenant", upstream: FakeProvider) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    upstream.answers({**bodies.completion(usage=usage), "service_tier": "fast"})
    assert recorded(acme, "chat/completions", messages=HI) == Usage(input=9, output=4, tier="priority")


def test_a_record_keeps_what_has_no_column_of_its_own(acme: "Tenant", upstream: FakeProvider) -> None:
    search = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}
    upstream.answers({"object": "response", "model": "gpt-test", "output": [search, search], "usage": SPENT})
    assert recorded(acme, "responses", input="Hi") == Usage(input=9, output=4, searches=2)


def test_a_record_is_flagged_where_the_providers_figures_do_not_add_up(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.answers(bodies.completion(usage={"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 14}))
    assert recorded(acme, "chat/completions", messages=HI) == Usage(input=9, output=4, mismatch=True)


def test_the_last_event_of_a_responses_stream_tells_everything(acme: "Tenant", upstream: FakeProvider) -> None:
    search = {"type": "web_search_call", "action": {"type": "search"}}
    whole = {"model": "gpt-test", "service_tier": "flex", "output": [search], "usage": SPENT}
    upstream.streams_raw(
        [event(type="response.created", response={}), event(type="response.completed", response=whole)]
    )
    usage = recorded(acme, "responses", input="Hi", stream=True)
    assert usage == Usage(input=9, output=4, searches=1, tier="flex")


def test_a_stream_that_breaks_off_is_not_for_free(acme: "Tenant", upstream: FakeProvider) -> None:
    delta = event(type="response.output_text.delta", delta="x" * 400)
    upstream.streams_raw([event(type="response.created", response={}), *[delta] * 10, CLOSE])
    usage = recorded(acme, "responses", input="Hi", stream=True)
    assert usage.estimated
    assert usage.input
    assert usage.output == 1_000


def test_an_embedding_writes_nothing_even_if_nobody_says_so(acme: "Tenant", upstream: FakeProvider) -> None:
    upstream.answers({"object": "list", "model": "gpt-test", "data": [{"embedding": [0.5] * 500, "index": 0}]})
    usage = recorded(acme, "embeddings", input="Hi")
    assert (usage.output, usage.estimated) == (None, True)
    assert usage.input
