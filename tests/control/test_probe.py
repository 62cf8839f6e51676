"""What a credential's test says, for everything that a provider or the network may do."""

import socket
import threading
from typing import Any

import pytest
from django.test import override_settings

from apps.core.actor import Actor
from apps.core.env import networks
from apps.orgs.models import Organization
from apps.providers.actions import credential_add, credential_test
from apps.providers.models import Credential
from tests.control.conftest import SECRET
from tests.support.provider import CLOSE, RESET, FakeProvider


def test_a_working_credential_lists_its_models(credential: Credential, upstream: FakeProvider) -> None:
    upstream.answers({"object": "list", "data": [{"id": "gpt-a"}, {"id": "gpt-b"}]})

    result = credential_test(credential=credential)

    assert result.ok
    assert list(result.models) == ["gpt-a", "gpt-b"]
    assert result.status == 200
    assert result.latency_ms is not None
    [request] = upstream.requests
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert request.header("authorization") == f"Bearer {SECRET}"
    assert request.header("host") == upstream.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "refused the secret (401)"),
        (403, "refused the secret (403)"),
        (404, "check the path of the base URL"),
        (429, "try again later"),
        (500, "problem of its own (500)"),
        (418, "answered 418"),
    ],
)
def test_a_refusal_is_told_in_words(credential: Credential, upstream: FakeProvider, status: int, says: str) -> None:
    upstream.fails(status, f"Incorrect API key provided: {SECRET}")

    result = credential_test(credential=credential)

    assert not result.ok
    assert says in result.sentence
    assert result.status == status
    assert SECRET not in result.sentence


@pytest.mark.parametrize("body", ["<html>hello</html>", '{"data": "none"}', "[1, 2", '"text"', ""])
def test_an_answer_that_is_no_list_is_not_taken_for_one(
    credential: Credential, upstream: FakeProvider, body: str
) -> None:
    upstream.answers(body)
    result = credential_test(credential=credential)
    assert not result.ok
    assert "not with a list of models" in result.sentence


def test_a_redirect_is_reported_and_not_followed(credential: Credential, upstream: FakeProvider) -> None:
    upstream.answers("", status=302, headers={"location": f"{upstream.url}/elsewhere"})
    result = credential_test(credential=credential)
    assert not result.ok
    assert "redirects" in result.sentence
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("ending", [CLOSE, RESET])
def test_a_broken_connection_is_told(credential: Credential, upstream: FakeProvider, ending: Any) -> None:
    upstream.streams_raw([b'{"data": [', ending])
    result = credential_test(credential=credential)
    assert not result.ok
    assert "broke off" in result.sentence or "not with a list" in result.sentence


def test_nobody_at_the_address_is_told(acme: Organization, loopback: None, actor: Actor) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: a connection is refused
        port = taken.getsockname()[1]
        credential = credential_add(
            organization=acme,
            provider="openai",
            label="x",
            base_url=f"http://127.0.0.1:{port}/v1",
            secret=SECRET,
            actor=actor,
        )
        result = credential_test(credential=credential)
    assert not result.ok
    assert "nothing answers there" in result.sentence


def test_an_answer_too_long_is_cut_off(credential: Credential, upstream: FakeProvider) -> None:
    upstream.answers(b"x" * (9 << 20))
    result = credential_test(credential=credential)
    assert not result.ok
    assert "more than 8 MB" in result.sentence


def test_the_address_is_checked_when_it_is_dialled(credential: Credential, upstream: FakeProvider) -> None:
    """What was allowed when it was saved may not be any more; so may a name that has since moved."""
    with override_settings(EGRESS_ALLOW=()):
        result = credential_test(credential=credential)

    assert not result.ok
    assert "EGRESS_ALLOW" in result.sentence
    assert upstream.connections == 0


def test_a_name_whose_every_address_is_private_is_not_dialled(
    acme: Organization, upstream: FakeProvider, actor: Actor
) -> None:
    port = upstream.url.rsplit(":", 1)[1]
    with override_settings(EGRESS_ALLOW=networks("127.0.0.0/8,::1")):
        credential = credential_add(
            organization=acme,
            provider="openai",
            label="x",
            base_url=f"http://localhost:{port}/v1",
            secret=SECRET,
            actor=actor,
        )
    with override_settings(EGRESS_ALLOW=networks("10.0.0.0/8")):
        assert not credential_test(credential=credential).ok
    assert upstream.connections == 0


def test_azure_is_asked_in_its_own_way(
    acme: Organization, upstream: FakeProvider, loopback: None, actor: Actor
) -> None:
    upstream.answers({"data": []}, always=True)
    for version, path in (("", "/openai/v1/models"), ("2024-10-21", "/openai/models?api-version=2024-10-21")):
        credential = credential_add(
            organization=acme,
            provider="azure_openai",
            label=f"azure {version}",
            base_url=upstream.url,
            api_version=version,
            secret=SECRET,
            actor=actor,
        )
        assert credential_test(credential=credential).ok
        assert upstream.requests[-1].path == path
        assert upstream.requests[-1].header("api-key") == SECRET
        assert upstream.requests[-1].header("authorization") is None


@pytest.mark.parametrize(
    ("provider", "answer", "path", "header", "names"),
    [
        (
            "anthropic",
            {"data": [{"type": "model", "id": "claude-a", "display_name": "A"}], "has_more": False},
            "/v1/models?limit=1000",
            ("x-api-key", SECRET),
            ["claude-a"],
        ),
        (
            "gemini",
            {"models": [{"name": "models/gemini-a", "version": "1"}, {"name": "tunedModels/b"}, {"name": 3}]},
            "/v1beta/models?pageSize=1000",
            ("x-goog-api-key", SECRET),
            ["gemini-a", "tunedModels/b"],
        ),
        (
            "cohere",
            {"models": [{"name": "command-a", "endpoints": ["chat"]}], "next_page_token": ""},
            "/v1/models?page_size=1000",
            ("authorization", f"Bearer {SECRET}"),
            ["command-a"],
        ),
        (
            "openrouter",
            {"data": [{"id": "vendor/model:free", "pricing": {}}]},
            "/models/user",
            ("authorization", f"Bearer {SECRET}"),
            ["vendor/model:free"],
        ),
        (
            "together",
            [{"id": "org/Model", "object": "model"}],
            "/models",
            ("authorization", f"Bearer {SECRET}"),
            ["org/Model"],
        ),
    ],
)
def test_each_provider_is_asked_for_its_models_in_its_own_way(
    acme: Organization,
    upstream: FakeProvider,
    loopback: None,
    actor: Actor,
    provider: str,
    answer: Any,
    path: str,
    header: tuple[str, str],
    names: list[str],
) -> None:
    upstream.answers(answer)
    credential = credential_add(
        organization=acme, provider=provider, label=provider, base_url=upstream.url, secret=SECRET, actor=actor
    )

    result = credential_test(credential=credential)

    assert result.ok, result.sentence
    assert list(result.models) == names
    [request] = upstream.requests
    assert request.path == path
    assert request.header(header[0]) == header[1]
    assert SECRET not in request.path
    sent = [name for name in ("authorization", "x-api-key", "x-goog-api-key", "api-key") if request.header(name)]
    assert sent == [header[0]], "the secret leaves in one header"
    assert (request.header("anthropic-version") is not None) == (provider == "anthropic")


def test_a_certificate_that_is_not_the_names_is_refused(acme: Organization, loopback: None, actor: Actor) -> None:
    """Plain text where TLS is expected: the handshake fails, and no secret has left by then."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        credential = credential_add(
            organization=acme,
            provider="openai",
            label="x",
            base_url=f"https://127.0.0.1:{server.getsockname()[1]}/v1",
            secret=SECRET,
            actor=actor,
        )
        result = credential_test(credential=credential)
        thread.join()

    assert not result.ok
    assert SECRET.encode() not in b"".join(heard)
