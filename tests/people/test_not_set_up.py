"""Calls before anybody has set the installation up are told so, each in its own API's form."""

import json

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

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

# Subprotocols by which a browser carries a key: none, one that is no token, and one that is no client secret.
SPOKEN = [
    None,
    ["realtime", "openai-insecure-api-key.sk-whatever"],
    ["realtime", "openai-insecure-api-key.ek_whatever"],
]


def handshake(gateway: GatewayProcess, words: list[str] | None) -> tuple[int, str]:
    """How a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.url.replace("http", "ws", 1) + "/v1/realtime?model=x", subprotocols=words)
    return refused.value.response.status_code, json.loads(refused.value.response.body)["error"]["code"]


@pytest.mark.django_db(transaction=True)
def test_calls_before_setting_up_get_503_in_their_own_form_and_401_afterwards() -> None:
    with GatewayProcess() as gateway:
        for path, (headers, code_of) in CALLS.items():
            answer = httpx.post(gateway.url + path, headers=headers, json={}, follow_redirects=False)
            assert answer.status_code == 503, path
            assert code_of(answer.json()) == "not_set_up", path

        for words in SPOKEN:
            assert handshake(gateway, words) == (503, "not_set_up"), words

        organization_create(name="Acme", slug="acme", actor=ACTOR)

        for path, (headers, _code_of) in CALLS.items():
            assert httpx.post(gateway.url + path, headers=headers, json={}).status_code == 401, path
        for words in SPOKEN:
            assert handshake(gateway, words)[0] == 401, words
