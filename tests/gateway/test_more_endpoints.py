"""Completions, moderations, pictures and speech by every path that clients know, with every refusal that chat has."""

from functools import partial
from typing import Any

import openai
import pytest

from apps.policies.actions.policies import inline_set
from tests.gateway.test_refusals import refused
from tests.support.bodies import Json
from tests.support.gateway import eventually
from tests.support.governed import ruled
from tests.support.provider import HANG, FakeProvider
from tests.support.tenant import ACTOR, Tenant, recorded

BODIES: dict[str, Json] = {
    "completions": {"prompt": "Once"},
    "moderations": {"input": "Be good."},
    "images/generations": {"prompt": "A toll gate"},
    "audio/speech": {"input": "Hello", "voice": "coral"},
}
NAMES = {
    "completions": "completions",
    "moderations": "moderations",
    "images/generations": "image_generations",
    "audio/speech": "speech",
}
EVERY = pytest.mark.parametrize("path", BODIES)


def by_client(client: openai.OpenAI, path: str, model: str = "gpt-test") -> Any:
    calls: dict[str, Any] = {
        "completions": client.completions.create,
        "moderations": client.moderations.create,
        "images/generations": client.images.generate,
        "audio/speech": client.audio.speech.create,
    }
    return calls[path](model=model, **BODIES[path])


@EVERY
@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", "/openai", "/openai/deployments/gpt-test"])
def test_every_path_leads_to_the_same_endpoint(acme: Tenant, upstream: FakeProvider, path: str, prefix: str) -> None:
    upstream.answers({})
    model = None if "deployments" in prefix else "gpt-test"
    response = acme.http().post(f"{prefix}/{path}?api-version=2024-10-21", json={**BODIES[path], "model": model})
    assert response.status_code == 200, response.text
    request = upstream.next_request()
    assert (request.path, request.json) == (f"/v1/{path}", {**BODIES[path], "model": "gpt-test"})
    assert recorded(response.headers["x-request-id"]).endpoint == NAMES[path]


@EVERY
def test_azures_client(acme: Tenant, upstream: FakeProvider, path: str) -> None:
    upstream.answers({"data": [], "results": [], "choices": []})
    client = openai.AzureOpenAI(
        azure_endpoint=acme.gateway.url, api_key=acme.token, api_version="2024-10-21", max_retries=0
    )
    with client:
        by_client(client, path, "renamed")
    request = upstream.next_request()
    assert (request.path, request.json["model"]) == (f"/v1/{path}", "upstream/other")
    assert acme.record().status == 200


@EVERY
def test_a_scope_opens_its_endpoint_and_no_other(acme: Tenant, upstream: FakeProvider, path: str) -> None:
    upstream.answers({"data": [], "results": [], "choices": []}, always=True)
    _, plaintext = acme.issue_token(scopes=[NAMES[path]])
    client = acme.client(token=plaintext)
    by_client(client, path)
    for other in BODIES.keys() - {path}:
        refused(partial(by_client, client, other), openai.PermissionDeniedError, "endpoint_not_allowed")
    assert len(upstream.requests) == 1


@EVERY
def test_a_policy_may_deny_it(acme: Tenant, upstream: FakeProvider, path: str) -> None:
    upstream.answers({"data": [], "results": [], "choices": []}, always=True)
    by_client(acme.client(), path)
    row, plaintext = acme.issue_token()
    inline_set(layer="token", token=row, fields={"denied_endpoints": [NAMES[path]]}, actor=ACTOR)
    refused(lambda: by_client(acme.client(token=plaintext), path), openai.PermissionDeniedError, "endpoint_not_allowed")


@EVERY
def test_a_provider_that_has_no_such_endpoint_is_not_asked(acme: Tenant, upstream: FakeProvider, path: str) -> None:
    acme.add_route("elsewhere", upstream.url, provider="anthropic")
    error = refused(lambda: by_client(acme.client(), path, "elsewhere"), openai.BadRequestError, "dialect_mismatch")
    assert "/v1/messages" in error.message
    assert upstream.requests == []


@EVERY
def test_a_refusal_of_the_provider_is_the_clients(acme: Tenant, upstream: FakeProvider, path: str) -> None:
    upstream.fails(400, "Not like this.", kind="invalid_request_error", code="bad_thing")
    with pytest.raises(openai.BadRequestError) as caught:
        by_client(acme.client(), path)
    assert caught.value.code == "bad_thing"
    record = acme.record()
    assert (record.status, record.error_code, record.cost_usd) == (400, "bad_thing", None)


@EVERY
def test_a_client_that_gives_up_ends_the_call_upstream(acme: Tenant, upstream: FakeProvider, path: str) -> None:
    ruled(acme, concurrent_requests=1)
    upstream.hangs()
    with pytest.raises(openai.APITimeoutError):
        by_client(acme.client(timeout=0.5), path)
    assert upstream.hung_up.wait(timeout=5)
    assert acme.record().status == 499
    upstream.answers({"data": [], "results": [], "choices": []})

    def again() -> bool:
        try:
            by_client(acme.client(), path)
        except openai.RateLimitError:
            return False
        return True

    eventually(again, what="the slot of the call that was given up")


def test_speech_that_its_client_leaves_ends_upstream_and_is_billed(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.streams_raw([b"one", HANG], headers={"Content-Type": "audio/mpeg"})
    body = {**BODIES["audio/speech"], "model": "gpt-test"}
    with acme.http().stream("POST", "/v1/audio/speech", json=body) as response:
        assert next(response.iter_raw()) == b"one"
    assert upstream.hung_up.wait(timeout=5)
    record = acme.record()
    assert (record.status, record.other_usage, record.usage_estimated) == (499, {"characters": 5}, True)
