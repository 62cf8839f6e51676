"""What a caller writes, and a provider's refusal repeats, changes nothing for others."""

import httpx
import pytest

from tests.support import bodies
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
