"""What a provider, or the way to it, does wrong; and what the client is told of it."""

import contextlib
import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from apps.providers.models import Credential
from tests.gateway.test_refusals import HI, ask, chat, expect, post, refused
from tests.support import bodies
from tests.support.provider import CLOSE, RESET, FakeProvider, closed_port
from tests.support.tenant import SECRET, Tenant


def stream(client: openai.OpenAI, model: str = "gpt-test", **options: Any) -> str:
    """The text of a streamed answer, read to its end."""
    chunks = client.chat.completions.create(model=model, messages=HI, stream=True, **options)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# --- The way there ---


def test_a_provider_that_refuses_connections_is_a_502_that_may_be_tried_again(acme: Tenant) -> None:
    acme.add_route("gone", closed_port() + "/v1")
    error = refused(lambda: ask(acme.client(), "gone"), openai.InternalServerError, code="upstream_unavailable")
    assert error.status_code == 502
    assert "x-should-retry" not in error.response.headers  # the client's own rules: it retries a 502
    record = acme.record()
    assert (record.status, record.error_code, record.upstream_us > 0) == (502, "upstream_unavailable", True)
    assert record.attempts[0]["error_code"] == "upstream_unavailable"


def test_a_provider_whose_name_does_not_resolve_is_a_502(acme: Tenant) -> None:
    acme.add_route("nameless", "https://no-such-host.invalid/v1")
    error = refused(lambda: ask(acme.client(), "nameless"), openai.InternalServerError, code="upstream_unavailable")
    assert "resolve" in error.message


def test_an_address_outside_the_allowed_ranges_is_never_dialled(acme: Tenant, settings: Any) -> None:
    credential = acme.add_route("private", "https://127.0.0.1:9/v1")
    # Around the check at saving, as a name does that changes its address later.
    Credential.objects.filter(pk=credential.pk).update(base_url="http://10.255.255.1/v1")
    error = refused(lambda: ask(acme.client(), "private"), openai.InternalServerError, code="egress_refused")
    assert error.status_code == 502
    assert "EGRESS_ALLOW" in error.message
    assert error.response.headers["x-should-retry"] == "false"
    assert acme.record().error_code == "egress_refused"


def test_plain_http_to_a_public_address_is_never_dialled(acme: Tenant) -> None:
    credential = acme.add_route("plain", "https://127.0.0.1:9/v1")
    Credential.objects.filter(pk=credential.pk).update(base_url="http://203.0.113.7/v1")
    refused(lambda: ask(acme.client(), "plain"), openai.InternalServerError, code="egress_refused")


# --- Its own refusals ---


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
def test_a_provider_that_refuses_our_credential_is_the_operators_matter(
    acme: Tenant, upstream: FakeProvider, status: int, streamed: bool
) -> None:
    upstream.fails(status, "Incorrect API key provided: sk-up****cdef", code="invalid_api_key")
    call = stream if streamed else ask
    error = refused(lambda: call(acme.client()), openai.InternalServerError, code="upstream_auth_failed")
    assert error.status_code == 502
    assert error.type == "upstream_error"
    assert error.response.headers["x-should-retry"] == "false"
    assert "fake provider" in error.message  # the credential's label
    assert "sk-up" not in error.message
    record = acme.record()
    assert (record.status, record.error_code) == (502, "upstream_auth_failed")
    assert (record.attempts[0]["status"], record.attempts[0]["error_code"]) == (status, "invalid_api_key")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
def test_a_providers_own_error_passes_as_it_is(
    acme: Tenant, upstream: FakeProvider, status: int, kind: type[openai.APIStatusError], streamed: bool
) -> None:
    body = (
        json.dumps(bodies.error("Too  bad.", kind="their_type", code="their_code", param="messages")).encode() + b" \n"
    )
    headers = {"retry-after": "7", "retry-after-ms": "7000", "x-should-retry": "false", "x-request-id": "theirs-1"}
    upstream.answers(body, status=status, headers=headers)
    call = stream if streamed else ask
    with pytest.raises(kind) as caught:
        call(acme.client())
    response = caught.value.response
    assert (response.status_code, response.content) == (status, body)
    assert (caught.value.code, caught.value.type, caught.value.param) == ("their_code", "their_type", "messages")
    assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == ("7", "7000")
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["x-tollgate-upstream-request-id"] == "theirs-1"
    assert response.headers["x-request-id"].startswith("req_")
    record = acme.record()
    assert (record.status, record.error_code, record.upstream_request_id) == (status, "their_code", "theirs-1")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "answered with status 503"),
        (b"upstream request timeout", "upstream request timeout"),
        (b'{"detail":"x"}', "x"),
        (b'{"error":"x"}', "x"),
        (b"[1]", "answered with status 503"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_an_error_in_a_form_of_its_own_is_put_into_openais(
    acme: Tenant, upstream: FakeProvider, body: bytes, says: str
) -> None:
    upstream.answers(body, status=503, headers={"content-type": "text/plain"})
    response = post(acme, chat())
    assert (response.status_code, response.headers["content-type"]) == (503, "application/json")
    error = response.json()["error"]
    assert says in error["message"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert acme.record().error_code == "upstream_503"


def test_a_page_of_a_proxy_on_the_way_is_not_passed_on(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers("<html>Bad gateway</html>", status=502, headers={"content-type": "text/html; charset=utf-8"})
    response = post(acme, chat())
    expect(response, 502, "upstream_malformed")
    assert "<html>" not in response.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(acme: Tenant, upstream: FakeProvider, status: int) -> None:
    with FakeProvider() as elsewhere:
        upstream.answers(b"", status=status, headers={"location": elsewhere.url + "/v1/chat/completions"})
        error = expect(post(acme, chat()), 502, "upstream_malformed")
        assert "redirect" in error["message"]
        assert elsewhere.requests == []


def test_json_for_a_stream_is_an_error(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers(bodies.completion())
    refused(lambda: stream(acme.client()), openai.InternalServerError, code="upstream_malformed")


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-8"])
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
def test_a_page_with_status_200_is_an_error(
    acme: Tenant, upstream: FakeProvider, content_type: str, streamed: bool
) -> None:
    upstream.answers("<html>Sign in to the hotel's network</html>", headers={"content-type": content_type})
    expect(post(acme, chat(stream=streamed)), 502, "upstream_malformed")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"not http at all\r\n\r\n", id="no HTTP"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", id="a broken chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 1_000_000, id="a head without end"),
    ],
)
@pytest.mark.parametrize("ending", [CLOSE, RESET], ids=["closed", "reset"])
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
def test_an_answer_that_breaks_off_or_is_none_is_a_502(
    everyday: Tenant, answer: bytes, ending: Any, streamed: bool
) -> None:
    everyday.upstream.reset()
    everyday.upstream.sends(*([answer] if answer else []), ending)
    response = everyday.http().post("/v1/chat/completions", content=chat(stream=streamed))
    assert response.status_code in (502, 200)
    if response.status_code == 200:  # a stream whose head was fine says so in an event
        assert streamed
        assert b"upstream_" in response.content
        assert b"[DONE]" not in response.content
    else:
        error = response.json()["error"]
        assert error["code"] in {"upstream_disconnected", "upstream_malformed"}
    assert post(everyday, chat()).status_code == 200


def test_an_answer_is_whole_however_it_is_cut_into_packets(acme: Tenant, upstream: FakeProvider) -> None:
    body = json.dumps(bodies.completion()).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    raw = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    starts = (0, 5, len(head) - 1, len(head), len(head) + 1, len(head) + 5, len(raw) - 7, len(raw) - 5, len(raw) - 1)
    gates = [threading.Event() for _ in starts]
    pieces = [raw[start:end] for start, end in itertools.pairwise((*starts, len(raw)))]
    # Each packet waits for the one before to have been read: only then is it certain to be one of its own.
    upstream.sends(*itertools.chain.from_iterable(zip(gates, pieces, strict=True)), keep_alive=True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, acme, chat())
        request = upstream.next_request()
        for gate in gates:
            gate.set()
            time.sleep(0.03)  # not for synchronisation: so that packets are not joined on their way
        assert answer.result(10).content == body
    assert request.answered.is_set()


def test_an_idle_connection_that_the_provider_closed_costs_no_call(acme: Tenant, upstream: FakeProvider) -> None:
    client = acme.client()
    for _ in range(20):
        assert ask(client) == "Hello"
        upstream.close_idle_connections()


# --- Headers ---


def test_of_a_clients_headers_only_those_meant_for_the_provider_go_up(acme: Tenant, upstream: FakeProvider) -> None:
    meant = {
        "openai-beta": "assistants=v2",
        "idempotency-key": "key-1",
        "x-client-request-id": "client-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    kept = {
        "cookie": "session=1",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
        "x-forwarded-for": "192.0.2.1",
        "x-anything": "else",
        "referer": "https://example.com",
        "te": "trailers",
    }
    acme.client(organization="org-2", project="proj-2", default_headers={**meant, **kept}).chat.completions.create(
        model="gpt-test", messages=HI
    )
    got = {name.lower(): value for name, value in upstream.next_request().headers}
    assert meant["idempotency-key"] not in str(got), "keys of two services must not meet at an account that they share"
    assert {**meant, "idempotency-key": got["idempotency-key"]} == {name: got.get(name) for name in meant}
    assert got["authorization"] == f"Bearer {SECRET}"
    assert acme.token not in str(got)
    allowed = {
        *meant,
        "authorization",
        "host",
        "content-type",
        "content-length",
        "accept",
        "accept-encoding",
        "user-agent",
    }
    assert set(got) <= allowed
    assert acme.record().client_request_id == "client-1"


def test_a_header_value_cannot_smuggle_another_header(acme: Tenant, upstream: FakeProvider) -> None:
    with contextlib.suppress(httpx.LocalProtocolError):
        post(acme, chat(), headers={"x-client-request-id": "a\tb"})
        assert "injected" not in {name.lower() for name, _ in upstream.next_request().headers}


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("streamed", [False, True], ids=["buffered", "streamed"])
def test_of_a_providers_headers_only_those_meant_for_the_client_come_back(
    acme: Tenant, upstream: FakeProvider, status: int, streamed: bool
) -> None:
    theirs = {
        "set-cookie": "__cf_bm=1",
        "x-ratelimit-remaining-requests": "3",
        "openai-organization": "org-of-the-operator",
        "openai-project": "proj-1",
        "server": "cloudflare",
        "x-request-id": "theirs-1",
        "request-id": "theirs-2",
        "cf-ray": "1",
        "openai-processing-ms": "12",
        "openai-version": "2020-10-01",
        "alt-svc": "h3",
        "connection": "keep-alive",
    }
    if streamed and status == 200:
        upstream.streams("Hi", headers=theirs)
    else:
        upstream.answers(bodies.completion(), status=status, headers=theirs)
    response = post(acme, chat(stream=streamed))
    assert response.status_code == status
    headers = response.headers
    assert headers["openai-processing-ms"] == "12"
    assert headers["openai-version"] == "2020-10-01"
    assert headers["x-tollgate-upstream-request-id"] == "theirs-1"
    assert headers["x-request-id"] == headers["request-id"] == acme.record().shown_id
    for name in (
        "set-cookie",
        "x-ratelimit-remaining-requests",
        "openai-organization",
        "openai-project",
        "cf-ray",
        "alt-svc",
    ):
        assert name not in headers
    assert "cloudflare" not in str(headers)
    if streamed and status == 200:
        assert headers["cache-control"] == "no-cache"
        assert headers["x-accel-buffering"] == "no"
        assert headers["content-type"].startswith("text/event-stream")
