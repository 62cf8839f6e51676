"""Reranking: relayed as it is, and billed by the search or by what was read."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import endpoints
from apps.gateway.governance.ranking import rerank_bounds, rerank_used
from apps.providers.dialects.openai import read_head
from tests.gateway.test_refusals import check_envelope
from tests.support.bodies import Json
from tests.support.gateway import eventually
from tests.support.governed import budget, check_amounts, priced, ruled, settled, spent
from tests.support.provider import FakeProvider
from tests.support.tenant import SECRET, Tenant

BODY: Json = {
    "model": "gpt-test",
    "query": "Which city?",
    "documents": ["Berlin", "Bonn", {"text": "Bern"}],
    "top_n": 2,
}
RESULTS = [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.5}]
BY_SEARCH: dict[str, Any] = {"per_search": Decimal(2000)}
IN_TOKENS: dict[str, Any] = {"input": Decimal("0.05")}


def cohere(units: float | None = 1, **billed: Any) -> Json:
    if units is not None:
        billed["search_units"] = units
    return {"id": "r-1", "results": RESULTS, "meta": {"api_version": {"version": "2"}, "billed_units": billed}}


def rerank(acme: Tenant, path: str = "/v1/rerank", **fields: Any) -> httpx.Response:
    return acme.http().post(path, json={**BODY, **fields})


# --- What passes ---


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/v2/rerank/", "/openai/v1/rerank", "/openai/rerank"])
def test_requests_and_answers_pass_as_they_are(acme: Tenant, upstream: FakeProvider, path: str) -> None:
    answer = b'{ "results": [ ], "model":"jina-reranker-v3", "usage": {"total_tokens": 38} }'
    upstream.answers(answer)
    sent = b'{"model": "gpt-test", "query":"q", "documents" : ["a","b"], "max_tokens_per_doc": 512, "rank": 1.50}'
    response = acme.http().post(path, content=sent)
    assert (response.status_code, response.content) == (200, answer)
    request = upstream.requests[0]
    assert (request.path, request.body) == ("/v1/rerank", sent)
    assert request.header("authorization") == f"Bearer {SECRET}"
    record = acme.record()
    assert (record.endpoint, record.status, record.stream, record.dialect) == ("rerank", 200, False, "openai")
    assert (record.model_served, record.input_tokens, record.usage_estimated) == ("jina-reranker-v3", 38, False)


def test_cohere_is_asked_at_its_own_path_and_by_its_own_name(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_route("ranker", upstream.url, provider="cohere", upstream_name="rerank-v3.5")
    upstream.answers(cohere(3.0))
    response = rerank(acme, "/v2/rerank", model="ranker")
    assert response.json() == cohere(3.0)
    request = upstream.requests[0]
    assert (request.path, request.json) == ("/v2/rerank", {**BODY, "model": "rerank-v3.5"})
    record = acme.record()
    assert record.other_usage == {"searches": 3}
    assert (record.cost_usd, record.flags, record.usage_estimated) == (Decimal("0.006"), [], False)  # of the book


def test_together_is_asked_at_openais(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_route("ranker", upstream.url + "/v1", provider="together", upstream_name="Salesforce/Llama-Rank-V1")
    usage = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}
    upstream.answers({"object": "rerank", "model": "Salesforce/Llama-Rank-V1", "results": RESULTS, "usage": usage})
    assert rerank(acme, model="ranker").status_code == 200
    assert upstream.requests[0].path == "/v1/rerank"
    assert acme.record().cost_usd == Decimal("0.0001")


# --- What it costs ---


def test_searches_are_billed_as_they_are_told(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_SEARCH)
    upstream.answers(cohere(7))
    rerank(acme)
    record = acme.record()
    assert (record.cost_usd, record.other_usage, record.flags) == (Decimal("0.014"), {"searches": 7}, [])
    assert not record.usage_estimated
    check_amounts(acme)


def test_searches_that_nobody_tells_are_counted_by_the_documents(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_SEARCH)
    upstream.answers({"results": []})
    rerank(acme, documents=["short"] * 250)
    record = acme.record()
    assert record.other_usage == {"searches": 3}
    assert (record.cost_usd, record.usage_estimated) == (Decimal("0.006"), True)


def test_tokens_are_billed_where_they_are_the_price(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    upstream.answers(cohere(1, input_tokens=2000))
    upstream.answers(cohere(None, text_tokens=2000.0))
    upstream.answers({"results": [], "usage": {"total_tokens": 2000}})
    for _ in range(3):
        rerank(acme)
    for record in acme.records(3):
        assert (record.input_tokens, record.cost_usd) == (2000, Decimal("0.0001"))
        assert (record.flags, record.usage_estimated, record.other_usage) == ([], False, None)


def test_tokens_that_nobody_tells_are_estimated_with_the_query_read_for_each_document(
    acme: Tenant, upstream: FakeProvider
) -> None:
    priced(acme, **IN_TOKENS)
    upstream.answers(cohere(1))
    rerank(acme, query="q" * 400, documents=["d" * 4000] * 10)
    record = acme.record()
    assert record.usage_estimated
    assert record.input_tokens is not None
    assert 10 * 100 + 10 * 1000 <= record.input_tokens <= 11_100
    assert record.cost_usd == record.input_tokens * Decimal("0.05") / 10**6
    assert record.flags == []


def test_a_model_that_is_billed_by_the_request_costs_that(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, per_request=Decimal(2000))
    upstream.answers(cohere(5))
    rerank(acme)
    assert (acme.record().cost_usd, acme.record().flags) == (Decimal("0.002"), [])


def test_without_a_price_what_was_told_is_kept(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(cohere(2))
    rerank(acme)
    record = acme.record()
    assert (record.cost_usd, record.other_usage, record.flags) == (None, {"searches": 2}, ["unpriced"])


# --- Budgets, limits and policies ---


def test_a_budget_holds_the_most_that_the_documents_may_count_as(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **BY_SEARCH)
    made = budget(acme, "0.005")
    upstream.answers(cohere(2), always=True)
    refused = rerank(acme, documents=["x"] * 250)  # three searches
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")
    assert not upstream.requests
    assert rerank(acme, documents=["x"] * 180).status_code == 200
    record = acme.records(2)[1]
    assert record.decision is not None
    assert record.decision["hold"] == 4_000_000
    assert settled(made).spent_usd == Decimal("0.004")
    eventually(lambda: spent(acme) == Decimal("0.004"), what="the records")


def test_a_budget_holds_for_tokens_too(acme: Tenant, upstream: FakeProvider) -> None:
    priced(acme, **IN_TOKENS)
    budget(acme, "1")
    upstream.answers(cohere(None))
    rerank(acme, query="q" * 1000, documents=["d" * 100] * 50)
    record = acme.record()
    assert record.decision is not None
    assert record.cost_usd is not None
    assert Decimal(record.decision["hold"]) / 10**9 >= record.cost_usd * 3
    assert record.flags == []


def test_a_policy_and_a_scope_may_leave_it_out(acme: Tenant, upstream: FakeProvider) -> None:
    _, narrow = acme.issue_token(scopes=["chat_completions"])
    http = acme.http(authorized=False)
    http.headers["authorization"] = f"Bearer {narrow}"
    assert http.post("/v1/rerank", json=BODY).json()["error"]["code"] == "endpoint_not_allowed"
    ruled(acme, denied_endpoints=["rerank"])
    assert rerank(acme).json()["error"]["code"] == "endpoint_not_allowed"
    assert not upstream.requests


def test_limits_of_tokens_count_what_is_read(acme: Tenant, upstream: FakeProvider) -> None:
    ruled(acme, tokens_per_minute=1000)
    upstream.answers({"results": [], "usage": {"total_tokens": 10}}, always=True)
    assert rerank(acme).status_code == 200
    refused = rerank(acme, query="q" * 40, documents=["d"] * 100)  # ten tokens of query, a hundred times
    assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")


# --- Refusals ---


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": None}, "query"),
        ({"query": 5}, "query"),
        ({"documents": None}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": []}, "documents"),
        ({"model": None}, "model"),
    ],
)
def test_a_request_that_cannot_be_understood_is_refused(
    acme: Tenant, upstream: FakeProvider, fields: Json, param: str
) -> None:
    response = rerank(acme, **fields)
    assert response.status_code == 400
    assert check_envelope(response)["param"] == param
    assert not upstream.requests


def test_a_field_that_is_said_twice_passes_once(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(cohere())
    twice = b'{"model": "gpt-test", "query": "q", "documents": ["a", "b", "c"], "documents": ["a"]}'
    acme.http().post("/v1/rerank", content=twice)
    assert upstream.requests[0].json["documents"] == ["a"]
    assert upstream.requests[0].body.count(b"documents") == 1


def test_a_model_of_a_provider_without_it_says_so(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_route("elsewhere", upstream.url + "/v1", provider="openai")
    response = rerank(acme, model="elsewhere")
    assert response.status_code == 400
    assert check_envelope(response)["code"] == "dialect_mismatch"


def test_a_refusal_of_coheres_comes_in_openais_form(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_route("ranker", upstream.url, provider="cohere")
    upstream.answers({"message": "too many documents", "id": "x"}, status=400)
    response = rerank(acme, model="ranker")
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "too many documents"
    assert acme.record().cost_usd is None


def test_only_post_is_possible(acme: Tenant) -> None:
    assert acme.http().get("/v2/rerank").status_code == 405
    assert acme.http().post("/v2/chat", json={}).json()["error"]["code"] == "unknown_url"


# --- The bound ---


@given(
    query=st.text(max_size=3000),
    documents=st.lists(st.text(max_size=3000), min_size=1, max_size=300),
    bytes_each=st.integers(1, 5),
)
def test_the_bound_is_never_below_what_is_counted(query: str, documents: list[str], bytes_each: int) -> None:
    import json

    body = json.dumps({"model": "m", "query": query, "documents": documents}, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    try:
        head: Any = read_head(body, endpoints.RERANK)
    except Exception:  # lone surrogates are no JSON
        return
    most = rerank_bounds(head, body)

    def tokens(text: str) -> int:
        return -(-len(text.encode()) // bytes_each)

    asked = min(tokens(query), 250)
    chunks = sum(max(1, -(-tokens(text) // (500 - asked))) for text in documents)
    assert most.units >= -(-chunks // 100)
    assert most.input_tokens >= sum(tokens(text) + tokens(query) for text in documents)
    estimate = rerank_used(head, body, None, whole=True, sheet=None)
    assert estimate.searches is not None
    assert most.units >= estimate.searches >= 1
