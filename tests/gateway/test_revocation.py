"""What operators change reaches every gateway within a second, by whichever door it was changed."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.provider import FakeProvider

if TYPE_CHECKING:
    from tests.support.tenant import Tenant

CHAT = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}]}
SOON = 1.0  # seconds, the promise


@pytest.fixture(scope="module")
def second_gateway(django_db_setup: None) -> Iterator[GatewayProcess]:
    with GatewayProcess() as process:
        yield process


def _by_action(acme: "Tenant") -> None:
    from apps.services.actions import token_revoke
    from tests.support.tenant import ACTOR

    assert token_revoke(token=acme.token_row, actor=ACTOR)


def _by_command(acme: "Tenant") -> None:
    from django.core.management import call_command

    call_command("revoke_token", str(acme.token_row.pk))


def _sql(statement: str) -> Callable[["Tenant"], None]:
    def change(acme: "Tenant") -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(statement, [acme.token_row.pk])

    return change


def _by_disabling_the_service(acme: "Tenant") -> None:
    from apps.services.actions import service_disable
    from tests.support.tenant import ACTOR

    assert service_disable(service=acme.service, actor=ACTOR)


def _by_suspending_the_organization(acme: "Tenant") -> None:
    from django.utils.timezone import now

    acme.organization.suspended_at = now()
    acme.organization.save(update_fields=["suspended_at"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_by_action, "token_revoked"),
        (_by_command, "token_revoked"),
        (_sql("UPDATE services_token SET revoked_at = now() WHERE id = %s"), "token_revoked"),
        (_sql("UPDATE services_token SET expires_at = now() WHERE id = %s"), "token_expired"),
        (_sql("DELETE FROM services_token WHERE id = %s"), "token_unknown"),
        (_by_disabling_the_service, "token_suspended"),
        (_by_suspending_the_organization, "token_suspended"),
    ],
    ids=["action", "command", "sql", "expiry by sql", "deletion by sql", "service disabled", "organization suspended"],
)
def test_a_token_stops_within_a_second_on_every_gateway(
    acme: "Tenant", second_gateway: GatewayProcess, change: Callable[["Tenant"], None], reason: str
) -> None:
    clients = [acme.http(), acme.http(gateway=second_gateway)]
    for client in clients:
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
    change(acme)
    changed = time.monotonic()
    refusals: list[Any] = []
    for client in clients:
        refusals.append(
            eventually(
                lambda client=client: (
                    (reply := client.post("/v1/chat/completions", json=CHAT)).status_code == 401 and reply
                ),
                timeout=SOON * 5,  # so that a failure says how late it was
            )
        )
        assert time.monotonic() - changed < SOON
    from tests.support.tenant import recorded

    for refusal in refusals:
        assert refusal.json()["error"]["code"] == "invalid_api_key"
        assert recorded(refusal.headers["x-request-id"]).error_code == reason


def test_a_token_that_was_unknown_a_moment_ago_opens_at_once_when_it_is_issued(acme: "Tenant") -> None:
    from django.db import connection

    from apps.services.tokens import token_digest, token_generate

    plaintext = token_generate()
    client = acme.http(authorized=False)
    client.headers["authorization"] = f"Bearer {plaintext}"
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 401
    with connection.cursor() as cursor:  # as a restored backup would bring it back
        cursor.execute(
            "UPDATE services_token SET digest = %s WHERE id = %s", [token_digest(plaintext), acme.token_row.pk]
        )
    eventually(lambda: client.post("/v1/chat/completions", json=CHAT).status_code == 200, timeout=SOON)


def test_a_changed_credential_is_used_within_a_second(acme: "Tenant") -> None:
    from apps.providers.actions import credential_disable, credential_enable, credential_rotate_secret
    from tests.support.tenant import ACTOR

    client = acme.http()

    def key_used() -> str | None:
        acme.upstream.reset()
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        return acme.upstream.next_request().header("authorization")

    before = key_used()
    credential_rotate_secret(credential=acme.credential, secret="sk-another-0123456789abcdef", actor=ACTOR)
    eventually(lambda: key_used() == "Bearer sk-another-0123456789abcdef", timeout=SOON)
    assert before != "Bearer sk-another-0123456789abcdef"

    credential_disable(credential=acme.credential, actor=ACTOR)
    refused = eventually(
        lambda: (reply := client.post("/v1/chat/completions", json=CHAT)).status_code == 502 and reply, timeout=SOON
    )
    assert refused.json()["error"]["code"] == "no_credential"
    credential_enable(credential=acme.credential, actor=ACTOR)
    eventually(lambda: client.post("/v1/chat/completions", json=CHAT).status_code == 200, timeout=SOON)


def test_a_new_model_can_be_asked_for_within_a_second(acme: "Tenant") -> None:
    client, body = acme.http(), {**CHAT, "model": "gpt-brand-new"}
    assert client.post("/v1/chat/completions", json=body).status_code == 404
    acme.add_model("gpt-brand-new")
    eventually(lambda: client.post("/v1/chat/completions", json=body).status_code == 200, timeout=SOON)


def test_a_change_in_a_long_transaction_is_seen_when_it_commits(acme: "Tenant", upstream: FakeProvider) -> None:
    """Changes that commit late, after others with higher ids, must not be missed."""
    import psycopg

    from apps.core.databases import libpq_url
    from tests.support.gateway import test_database_url

    client = acme.http()
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
    with psycopg.connect(libpq_url(test_database_url())) as slow:
        slow.execute("UPDATE services_token SET revoked_at = now() WHERE id = %s", [acme.token_row.pk])
        for number in range(3):  # others overtake it
            acme.add_model(f"gpt-overtaking-{number}")
        body = {**CHAT, "model": "gpt-overtaking-2"}
        eventually(lambda: client.post("/v1/chat/completions", json=body).status_code == 200, timeout=SOON)
        slow.commit()
    eventually(lambda: client.post("/v1/chat/completions", json=CHAT).status_code == 401, timeout=SOON)
