"""Calls before anybody has set the installation up are told so, each in its own API's form."""

import httpx
import pytest

from apps.orgs.actions import organization_create
from tests.people.conftest import ACTOR
from tests.support.gateway import GatewayProcess

CALLS = {
    "/v1/chat/completions": ({"authorization": "Bearer sk-whatever"}, lambda body: body["error"]["code"]),
    "/v1/messages": ({"x-api-key": "sk-ant-whatever"}, lambda body: body["error"]["details"]["error_code"]),
    "/v1beta/models/gemini-3-flash:generateContent": (
        {"x-goog-api-key": "AIza"},
        lambda body: body["error"]["details"][0]["reason"].lower(),
    ),
    "/v1/embeddings": ({}, lambda body: body["error"]["code"]),
}


@pytest.mark.django_db(transaction=True)
def test_calls_before_setting_up_get_503_in_their_own_form_and_401_afterwards() -> None:
    with GatewayProcess() as gateway:
        for path, (headers, code_of) in CALLS.items():
            answer = httpx.post(gateway.url + path, headers=headers, json={}, follow_redirects=False)
            assert answer.status_code in {503, 529}, path
            assert code_of(answer.json()) == "not_set_up", path

        organization_create(name="Acme", slug="acme", actor=ACTOR)

        for path, (headers, _code_of) in CALLS.items():
            assert httpx.post(gateway.url + path, headers=headers, json={}).status_code == 401, path
