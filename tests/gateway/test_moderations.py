"""Moderations: free, recorded, and governed all the same."""

import openai

from tests.gateway.test_refusals import refused
from tests.support.bodies import Json
from tests.support.governed import budget, ruled
from tests.support.provider import FakeProvider
from tests.support.tenant import Tenant

ANSWER: Json = {
    "id": "modr-fake",
    "model": "omni-moderation-test",
    "results": [{"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}],
}


def test_a_moderation_costs_nothing_and_holds_nothing(acme: Tenant, upstream: FakeProvider) -> None:
    ruled(acme, unpriced="deny", max_output_tokens=0)
    budget(acme, "0.01")
    client = acme.client()
    refused(
        lambda: client.completions.create(model="gpt-test", prompt="Hi"), openai.PermissionDeniedError, "not_allowed"
    )
    upstream.answers(ANSWER)
    answer = client.moderations.create(model="gpt-test", input="Be good.")
    assert answer.results[0].flagged is False
    assert upstream.requests[0].path == "/v1/moderations"
    record = acme.records(2)[1]
    assert (record.endpoint, record.status, record.model_served) == ("moderations", 200, "omni-moderation-test")
    assert (record.input_tokens, record.output_tokens, record.cost_usd, record.flags) == (None, None, None, [])
    assert record.decision is not None


def test_a_moderation_uses_what_its_provider_tells(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({**ANSWER, "usage": {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}})
    acme.client().moderations.create(model="gpt-test", input=["Be good.", "Be better."])
    assert acme.record().input_tokens == 7


def test_moderations_count_towards_a_limit_of_requests(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(ANSWER, always=True)
    client = acme.client()
    ruled(acme, requests_per_minute=1)
    client.moderations.create(model="gpt-test", input="Be good.")
    refused(
        lambda: client.moderations.create(model="gpt-test", input="Be good."),
        openai.RateLimitError,
        "rate_limit_exceeded",
    )


def test_a_moderation_needs_an_input(acme: Tenant) -> None:
    response = acme.http().post("/v1/moderations", json={"model": "gpt-test"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input"
