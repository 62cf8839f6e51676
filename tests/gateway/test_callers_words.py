"""What a caller writes, and a provider's refusal repeats, changes nothing for others."""

import httpx
import pytest

from tests.support import bodies, contents
from tests.support.provider import FakeProvider
from tests.support.tenant import Tenant

HI = [{"role": "user", "content": "Hi"}]


def ask(tenant: Tenant, **fields: object) -> httpx.Response:
    return tenant.http().post("/v1/chat/completions", json={"model": "gpt-test", "messages": HI, **fields})


def test_a_callers_words_do_not_make_a_credential_look_refused(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.fails(400, "Unknown parameter: 'API_KEY_INVALID'.", code="unknown_parameter", param="API_KEY_INVALID")
    answer = ask(acme, API_KEY_INVALID=1)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_parameter")
    assert acme.record().error_code == "unknown_parameter"


@pytest.mark.parametrize("field", ["stream_options_of_mine", "include_usage"])
def test_a_callers_words_do_not_end_the_asking_for_usage(acme: Tenant, upstream: FakeProvider, field: str) -> None:
    refusal = bodies.error(f"Unknown parameter: '{field}'.", code="unknown_parameter", param=field)
    for _ in range(2):
        upstream.answers(refusal, status=400)
    answer = ask(acme, stream=True, **{field: 1})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)

    upstream.streams("Hel", "lo")
    assert ask(acme, stream=True).status_code == 200
    assert ["stream_options" in request.json for request in upstream.requests] == [True, False, True]
    assert acme.records(2)[1].usage_estimated is False


@pytest.mark.parametrize("provider", ["openai", "openai_compatible"])
def test_what_one_caller_names_and_nobody_has_does_not_end_responses_for_others(
    acme: Tenant, upstream: FakeProvider, provider: str
) -> None:
    acme.add_route("thinker", f"{upstream.url}/v1", provider=provider)
    upstream.fails(404, "Prompt with id 'pmpt_none' not found.", code="prompt_not_found")
    missing = acme.http().post("/v1/responses", json={"model": "thinker", "input": "Hi", "prompt": {"id": "pmpt_none"}})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "prompt_not_found")

    search = {"model": "thinker", "input": "Hi", "tools": [{"type": "web_search"}]}
    assert acme.http().post("/v1/responses", json=search).status_code == 200
    assert [request.path for request in upstream.requests] == ["/v1/responses"] * 2


@pytest.mark.parametrize(
    "message",
    [
        "You do not have permission to access the File abc or it may not exist.",
        "CachedContent not found (or permission denied)",
    ],
)
def test_a_file_that_nobody_has_does_not_make_a_credential_look_refused(
    acme: Tenant, upstream: FakeProvider, message: str
) -> None:
    acme.add_route("gemini-test", upstream.url, provider="gemini")
    upstream.answers(contents.error(403, "PERMISSION_DENIED", message), status=403)
    part = {
        "fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc", "mimeType": "text/plain"}
    }
    answer = acme.http().post("/v1beta/models/gemini-test:generateContent", json={"contents": [{"parts": [part]}]})
    assert (answer.status_code, answer.json()["error"]["message"]) == (403, message)
    assert acme.record().error_code == "PERMISSION_DENIED"
