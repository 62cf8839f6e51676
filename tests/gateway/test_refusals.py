"""Every refusal of the gateway's own, through the official client: status, class, code, param, and what the record says.

A refusal and its success share their setup: the same tenant, model and messages are answered when nothing is wrong.
"""

import json
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import openai
import pytest
from django.utils.timezone import now

from apps.orgs.actions import organization_resume, organization_suspend
from apps.providers.actions import credential_disable
from apps.services.actions import service_disable, service_enable, token_revoke
from apps.services.models import Token
from apps.services.tokens import token_generate
from tests.support.gateway import GatewayProcess, eventually
from tests.support.provider import FakeProvider
from tests.support.tenant import ACTOR, Tenant, recorded

HI: list[Any] = [{"role": "user", "content": "Hi"}]


def ask(client: openai.OpenAI, model: str = "gpt-test", **options: Any) -> str:
    answer = client.chat.completions.create(model=model, messages=HI, **options)
    return answer.choices[0].message.content or ""


def refused(call: Callable[[], object], kind: type[openai.APIStatusError], code: str) -> openai.APIStatusError:
    """The refusal of a call, checked for what every refusal has: OpenAI's envelope, our id under both names."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    error = caught.value
    assert type(error) is kind, error
    assert error.code == code, error
    check_envelope(error.response)
    assert error.request_id == error.response.headers["x-request-id"]
    return error


def check_envelope(response: httpx.Response) -> dict[str, Any]:
    """The error object of an answer, which must be in OpenAI's form. Returns it."""
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() >= {"message", "type", "param", "code"}
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    assert body["error"]["message"]
    assert response.headers["x-request-id"] == response.headers["request-id"]
    return body["error"]  # type: ignore[no-any-return]  # JSON


def expect(response: httpx.Response, status: int, code: str, *, param: str | None = None) -> dict[str, Any]:
    """As `refused`, for what the official client cannot send."""
    error = check_envelope(response)
    assert (response.status_code, error["code"], error["param"]) == (status, code, param), error
    return error


def chat(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-test", "messages": HI, **fields}).encode()


def post(acme: Tenant, body: bytes, *, path: str = "/v1/chat/completions", **options: Any) -> httpx.Response:
    """The answer to a call that the official client could not make. That it is recorded is looked up in the end."""
    response = acme.http().post(path, content=body, **options)
    acme.note(response)
    return response


# --- 401: who asks ---


def test_a_known_token_is_answered_from_each_header_it_may_come_in(everyday: Tenant) -> None:
    for header, value in (
        ("Authorization", f"Bearer {everyday.token}"),
        ("authorization", f"bearer {everyday.token}"),
        ("Authorization", everyday.token),
        ("api-key", everyday.token),
        ("x-api-key", everyday.token),
        ("x-goog-api-key", everyday.token),
    ):
        response = everyday.http(authorized=False).post("/v1/chat/completions", content=chat(), headers={header: value})
        assert response.status_code == 200, (header, response.text)


def test_the_same_token_in_two_headers_is_one_token(everyday: Tenant) -> None:
    assert post(everyday, chat(), headers={"api-key": everyday.token}).status_code == 200


def test_a_missing_token_is_refused(everyday: Tenant) -> None:
    response = everyday.http(authorized=False).post("/v1/chat/completions", content=chat())
    error = expect(response, 401, "invalid_api_key")
    assert "No token" in error["message"]
    assert response.headers["x-should-retry"] == "false"
    assert recorded(response.headers["x-request-id"]).error_code == "token_missing"


def one_character_off(token: str) -> str:
    middle = len(token) // 2
    return token[:middle] + ("a" if token[middle] != "a" else "b") + token[middle + 1 :]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(one_character_off, "token_malformed", id="a typing error"),
        pytest.param(lambda token: token[:-1], "token_malformed", id="not copied whole"),
        pytest.param(lambda _: "sk-proj-" + "a" * 40, "token_malformed", id="a provider's own key"),
        pytest.param(lambda _: token_generate(), "token_unknown", id="another installation's token"),
    ],
)
def test_what_is_no_token_of_ours_is_refused(everyday: Tenant, spoil: Callable[[str], str], reason: str) -> None:
    error = refused(
        lambda: ask(everyday.client(token=spoil(everyday.token))), openai.AuthenticationError, code="invalid_api_key"
    )
    assert error.type == "invalid_request_error"
    assert error.response.headers["x-should-retry"] == "false"
    assert recorded(error.response.headers["x-request-id"]).error_code == reason
    assert ask(everyday.client()) == "Hello"


def test_two_different_tokens_are_refused_rather_than_one_chosen(acme: Tenant) -> None:
    _, other = acme.issue_token()
    response = post(acme, chat(), headers={"api-key": other})
    expect(response, 401, "invalid_api_key")
    assert recorded(response.headers["x-request-id"]).error_code == "token_ambiguous"


def test_a_revoked_token_is_refused(acme: Tenant) -> None:
    client = acme.client()
    assert ask(client) == "Hello"
    token_revoke(token=acme.token_row, actor=ACTOR)
    eventually(lambda: _status(client) == 401, what="the refusal")
    error = refused(lambda: ask(client), openai.AuthenticationError, code="invalid_api_key")
    record = recorded(error.response.headers["x-request-id"])
    assert (record.error_code, record.token_id) == ("token_revoked", acme.token_row.pk)


def test_an_expired_token_is_refused_from_the_second_it_expires(acme: Tenant) -> None:
    row, plaintext = acme.issue_token(expires_at=now() + timedelta(hours=1))
    client = acme.client(token=plaintext)
    assert ask(client) == "Hello"
    Token.objects.filter(pk=row.pk).update(expires_at=now() - timedelta(seconds=1))
    eventually(lambda: _status(client) == 401, what="the refusal")
    error = refused(lambda: ask(client), openai.AuthenticationError, code="invalid_api_key")
    assert recorded(error.response.headers["x-request-id"]).error_code == "token_expired"


def test_a_disabled_service_is_refused_until_it_is_enabled(acme: Tenant) -> None:
    client = acme.client()
    assert ask(client) == "Hello"
    service_disable(service=acme.service, actor=ACTOR)
    eventually(lambda: _status(client) == 401, what="the refusal")
    error = refused(lambda: ask(client), openai.AuthenticationError, code="invalid_api_key")
    assert recorded(error.response.headers["x-request-id"]).error_code == "token_suspended"
    service_enable(service=acme.service, actor=ACTOR)
    eventually(lambda: _status(client) == 200, what="the answer")


def test_a_suspended_organization_is_refused_until_it_is_resumed(acme: Tenant) -> None:
    client = acme.client()
    assert ask(client) == "Hello"
    organization_suspend(organization=acme.organization, actor=ACTOR)
    eventually(lambda: _status(client) == 401, what="the refusal")
    error = refused(lambda: ask(client), openai.AuthenticationError, code="invalid_api_key")
    assert recorded(error.response.headers["x-request-id"]).error_code == "token_suspended"
    organization_resume(organization=acme.organization, actor=ACTOR)
    eventually(lambda: _status(client) == 200, what="the answer")


def _status(client: openai.OpenAI) -> int:
    try:
        return client.models.with_raw_response.list().http_response.status_code
    except openai.APIStatusError as error:
        return error.status_code


def test_a_token_opens_the_endpoints_of_its_scopes_only(acme: Tenant) -> None:
    _, plaintext = acme.issue_token(scopes=["embeddings"])
    client = acme.client(token=plaintext)
    assert client.embeddings.create(model="embed-test", input="Hi").data
    error = refused(lambda: ask(client), openai.PermissionDeniedError, code="endpoint_not_allowed")
    assert "embeddings" in error.message
    assert error.response.headers["x-should-retry"] == "false"
    refused(client.models.list, openai.PermissionDeniedError, code="endpoint_not_allowed")


# --- 400, 413, 415, 431: what is asked ---


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"not json", "invalid_json", None),
        (b"\xff\xfe{}", "invalid_json", None),
        (b"null", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'"gpt-test"', "invalid_json", None),
        (b'{"model": "gpt-test", "messages": []} {}', "invalid_json", None),
        (b"{}", "missing_required_parameter", "messages"),
        (chat(model=None), "missing_required_parameter", "model"),
        (json.dumps({"messages": HI}).encode(), "missing_required_parameter", "model"),
        (chat(model=""), "missing_required_parameter", "model"),
        (chat(model=5), "invalid_type", "model"),
        (chat(model=["gpt-test"]), "invalid_type", "model"),
        (chat(model="x" * 5000), "invalid_value", "model"),
        (chat(messages=None), "invalid_type", "messages"),
        (chat(messages="Hi"), "invalid_type", "messages"),
        (chat(stream="yes"), "invalid_type", "stream"),
        (chat(stream=1), "invalid_type", "stream"),
        (chat(stream_options=[]), "invalid_type", "stream_options"),
        (chat(user={"id": 1}), "invalid_type", "user"),
        (chat(model="a/../b"), "invalid_value", "model"),
        (chat(model="../b"), "invalid_value", "model"),
        (chat(model="a//b"), "invalid_value", "model"),
        (chat(model="%2e%2e"), "invalid_value", "model"),
        (chat(model="gpt%2ftest"), "invalid_value", "model"),
        (chat(model="gpt test"), "invalid_value", "model"),
        (chat(model="gpt-test\n"), "invalid_value", "model"),
        (chat(model="gpt-test\x00"), "invalid_value", "model"),
        (chat(model="gpt-test\x7f"), "invalid_value", "model"),
        (chat(model="gpt-tést"), "invalid_value", "model"),
        (chat(model="gpt-test?x=1"), "invalid_value", "model"),
        (chat(model="gpt-test#"), "invalid_value", "model"),
        (chat(model="x" * 256), "invalid_value", "model"),
    ],
    ids=lambda value: (value[:40].decode("latin-1") or "empty") if isinstance(value, bytes) else "",
)
def test_a_body_that_cannot_be_meant_is_refused_by_field(
    everyday: Tenant, body: bytes, code: str, param: str | None
) -> None:
    everyday.upstream.reset()
    response = post(everyday, body)
    error = expect(response, 400, code, param=param)
    assert error["type"] == "invalid_request_error"
    assert response.headers["x-should-retry"] == "false"
    assert post(everyday, chat()).status_code == 200
    assert len(everyday.upstream.requests) == 1  # only the good one


def test_null_stands_for_absent_where_clients_send_it(everyday: Tenant) -> None:
    assert post(everyday, chat(stream=None, stream_options=None, user=None)).status_code == 200


@pytest.mark.parametrize("field", ["input"])
@pytest.mark.parametrize("value", [None, 5, {}], ids=repr)
def test_embeddings_need_something_to_embed(everyday: Tenant, field: str, value: object) -> None:
    body = json.dumps({"model": "embed-test", field: value}).encode()
    expect(post(everyday, body, path="/v1/embeddings"), 400, "invalid_type", param=field)
    expect(
        post(everyday, b'{"model":"embed-test"}', path="/v1/embeddings"), 400, "missing_required_parameter", param=field
    )


def test_json_is_as_deep_as_the_setting_allows_and_no_deeper(everyday: Tenant) -> None:
    def nested(depth: int) -> bytes:  # the outermost object is one level
        return b'{"model":"gpt-test","messages":[],"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    assert post(everyday, nested(128)).status_code == 200
    error = expect(post(everyday, nested(129)), 400, "invalid_json")
    assert "MAX_JSON_DEPTH" in error["message"]
    expect(post(everyday, nested(500_000)), 400, "invalid_json")


MEGABYTE = 1024 * 1024


def test_a_body_of_the_largest_size_goes_up_whole_and_one_byte_more_is_refused(
    acme: Tenant, upstream: FakeProvider
) -> None:
    start, end = b'{"model":"gpt-test","messages":[],"x":"', b'"}'
    largest = start + b"x" * (32 * MEGABYTE - len(start) - len(end)) + end
    assert post(acme, largest).status_code == 200
    assert upstream.next_request().body == largest
    response = post(acme, largest + b" ")
    error = expect(response, 413, "request_too_large")
    assert "MAX_BODY_BYTES" in error["message"]
    assert response.headers["connection"] == "close"


def test_a_body_announced_as_too_large_is_refused_before_it_is_sent(everyday: Tenant) -> None:
    with socket.create_connection(("127.0.0.1", everyday.gateway.port), timeout=10) as connection:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {everyday.token}\r\n"
            f"content-length: {33 * MEGABYTE}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_refused_as_soon_as_it_is_too_large(acme: Tenant) -> None:
    with socket.create_connection(("127.0.0.1", acme.gateway.port), timeout=10) as connection:
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
            f"authorization: Bearer {acme.token}\r\n\r\n"
        )
        connection.sendall(head.encode())
        sent = 0
        piece = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"
        answer = b""
        try:
            while sent < 64:  # without ever ending the body
                connection.sendall(piece)
                sent += 1
        except ConnectionError:
            pass
        try:
            answer = connection.recv(65536)
        except ConnectionError:  # we were still sending when the connection closed, which may cost us the answer
            pass
        assert sent < 64
        assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert acme.record().error_code == "request_too_large"


def test_a_compressed_body_is_refused_rather_than_misread(everyday: Tenant) -> None:
    response = post(everyday, chat(), headers={"content-encoding": "gzip"})
    error = expect(response, 415, "unsupported_encoding")
    assert "Content-Encoding" in error["message"]


def test_headers_of_many_kilobytes_pass_and_more_than_64_are_refused(everyday: Tenant) -> None:
    assert post(everyday, chat(), headers={"x-padding": "x" * 60_000}).status_code == 200
    response = everyday.http().post("/v1/chat/completions", content=chat(), headers={"x-padding": "x" * 70_000})
    expect(response, 431, "headers_too_large")
    assert response.headers["x-should-retry"] == "false"


def test_a_head_that_never_ends_is_refused(everyday: Tenant) -> None:
    with socket.create_connection(("127.0.0.1", everyday.gateway.port), timeout=10) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n")
        with pytest.raises(ConnectionError):
            for number in range(100_000):  # the first megabyte or two may lie in the kernel's buffers
                connection.sendall(b"x-%d: %s\r\n" % (number, b"y" * 1000))


def test_a_head_that_comes_too_slowly_closes_its_connection_and_a_patient_body_does_not() -> None:
    with GatewayProcess({"REQUEST_HEAD_TIMEOUT": "1"}) as gateway:
        silent = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
        slow = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
        kept = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
        with silent, slow, kept:
            kept.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
            slow.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
            assert slow.recv(65536).startswith(b"HTTP/1.1 401 ")
            slow.sendall(b"GET /v1/models HTTP/1.1\r\nho")
            assert slow.recv(65536) == b""
            assert silent.recv(65536) == b""
            kept.sendall(b"}")
            assert kept.recv(65536).startswith(b"HTTP/1.1 401 ")


# --- 404, 405, 502: where to ---


def test_an_unknown_model_is_refused_by_name(everyday: Tenant) -> None:
    client = everyday.client()
    error = refused(lambda: ask(client, "gpt-unheard-of"), openai.NotFoundError, code="model_not_found")
    assert error.param == "model"
    assert "gpt-unheard-of" in error.message
    assert error.response.headers["x-should-retry"] == "false"
    record = recorded(error.response.headers["x-request-id"])
    assert (record.error_code, record.model_asked) == ("model_not_found", "gpt-unheard-of")
    refused(lambda: client.models.retrieve("gpt-unheard-of"), openai.NotFoundError, code="model_not_found")


def test_another_tenants_model_does_not_exist(acme: Tenant, gateway: Any, upstream: FakeProvider) -> None:
    from tests.support.tenant import tenant

    acme.add_model("acme-only")
    assert ask(acme.client(), "acme-only") == "Hello"
    with tenant(gateway, upstream) as other:
        refused(lambda: ask(other.client(), "acme-only"), openai.NotFoundError, code="model_not_found")
        assert "acme-only" not in {model.id for model in other.client().models.list()}


def test_a_known_model_without_a_credential_tells_the_operator_what_to_do(acme: Tenant) -> None:
    client = acme.client()
    assert ask(client) == "Hello"
    credential_disable(credential=acme.credential, actor=ACTOR)
    eventually(lambda: "gpt-test" not in {model.id for model in client.models.list()}, what="the change")
    error = refused(lambda: ask(client), openai.InternalServerError, code="no_credential")
    assert error.status_code == 502
    assert error.response.headers["x-should-retry"] == "false"
    assert "add_credential" in error.message
    assert "gpt-test" in error.message


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/chat",
        "/v1/chat/completions/more",
        "/v1//chat/completions",
        "/openai",
        "/openai/deployments",
        "/openai/deployments/gpt-test",
        "/openai/deployments/gpt-test/nothing",
        "/v1/audio/voices",
    ],
)
def test_an_unknown_path_under_our_prefixes_is_a_404_in_json(everyday: Tenant, path: str) -> None:
    error = expect(post(everyday, chat(), path=path), 404, "unknown_url")
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/responses", "POST"),
        ("PUT", "/openai/deployments/gpt-test/chat/completions", "POST"),
        ("OPTIONS", "/v1/embeddings", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/gpt-test", "GET"),
    ],
)
def test_a_wrong_verb_is_a_405_that_names_the_right_one(everyday: Tenant, method: str, path: str, allowed: str) -> None:
    response = everyday.http().request(method, path)
    expect(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allowed


def test_a_trailing_slash_is_served_and_never_redirected(everyday: Tenant) -> None:
    assert post(everyday, chat(), path="/v1/chat/completions/").status_code == 200
    assert everyday.http().get("/v1/models/").status_code == 200


def test_a_query_is_tolerated(acme: Tenant, upstream: FakeProvider) -> None:
    assert post(acme, chat(), path="/v1/chat/completions?beta=true&api-version=x").status_code == 200
    assert upstream.next_request().path == "/v1/chat/completions"


@pytest.mark.parametrize(
    "name",
    ["a%2F..%2Fb", "..", "%2e%2e", "%252e%252e", "a%00b", "a%0d%0ab", "a%20b", "%ff", "a%2F%2Fb", "x" * 256],
)
def test_a_name_in_a_path_that_could_mislead_is_refused(everyday: Tenant, name: str) -> None:
    for path in (f"/openai/deployments/{name}/chat/completions", f"/v1/models/{name}"):
        method = "GET" if path.startswith("/v1/models") else "POST"
        raw = _raw(everyday, method, path)
        assert raw.startswith(b"HTTP/1.1 400 "), raw[:200]
        assert b'"invalid_value"' in raw


def test_a_name_in_a_path_may_hold_an_encoded_slash(acme: Tenant, upstream: FakeProvider) -> None:
    acme.add_model("org/gpt:v1")
    for path in ("/openai/deployments/org%2Fgpt%3Av1/chat/completions", "/v1/models/org%2Fgpt:v1"):
        method = "GET" if path.startswith("/v1/models") else "POST"
        assert _raw(acme, method, path).startswith(b"HTTP/1.1 200 "), path
    assert upstream.next_request().json["model"] == "org/gpt:v1"
    assert acme.client().models.retrieve("org/gpt:v1").id == "org/gpt:v1"


def _raw(acme: Tenant, method: str, path: str) -> bytes:
    """The answer's bytes to a request whose path no client library has tidied up."""
    body = chat(model=None) if method == "POST" else b""
    with socket.create_connection(("127.0.0.1", acme.gateway.port), timeout=10) as connection:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {acme.token}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_an_error_never_repeats_the_token_or_the_providers_key(everyday: Tenant) -> None:
    spoiled = one_character_off(everyday.token)
    for response in (
        everyday.http(authorized=False).get(f"/v1/{quote(spoiled)}", headers={"api-key": spoiled}),
        everyday.http(authorized=False).post("/v1/chat/completions", headers={"api-key": spoiled}, content=chat()),
    ):
        assert spoiled not in response.text or spoiled in str(response.request.url)
        assert "sk-upstream" not in response.text
    assert spoiled not in everyday.gateway.tail()
