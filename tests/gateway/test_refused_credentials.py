"""A credential that its provider refuses: noted, told and shown, until it is taken again or its secret is replaced."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.test import Client

from apps.orgs.models import User
from apps.policies.credential_alerts import credentials_watch
from apps.policies.models import CredentialAlert
from tests.support.gateway import GatewayProcess, eventually
from tests.support.governed import BODY
from tests.support.provider import FakeProvider
from tests.support.tenant import ACTOR, Tenant, tenant


@pytest.fixture(scope="module")
def patient(django_db_setup: None) -> Iterator[GatewayProcess]:
    """A gateway with the default attempts."""
    with GatewayProcess({"ROUTE_COOLDOWN": "0.2"}) as process:
        yield process


@pytest.fixture
def acme(patient: GatewayProcess, upstream: FakeProvider) -> Iterator[Tenant]:
    with tenant(patient, upstream) as made:
        yield made


def ask(made: Tenant, **fields: Any) -> httpx.Response:
    return made.http().post("/v1/chat/completions", json={**BODY, **fields})


def refused_with(made: Tenant) -> int | None:
    """What the row says, once workers have looked."""
    credentials_watch()
    made.credential.refresh_from_db()
    return made.credential.refused_status


def page_of(made: Tenant) -> str:
    """The credential's page in the console."""
    user = User.objects.create(email=f"{uuid4().hex}@example.org", is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(user)
    text = client.get(f"/admin/providers/credential/{made.credential.pk}/change/").content.decode()
    User.objects.filter(pk=user.pk).update(is_superuser=False, is_active=False)
    return text


@pytest.mark.parametrize(("status", "remedy"), [(401, "rotate the secret"), (402, "settle it with the provider")])
def test_a_refusal_is_noted_and_told_and_the_next_answer_clears_it(
    acme: Tenant, upstream: FakeProvider, status: int, remedy: str
) -> None:
    upstream.fails(status)
    assert ask(acme).status_code == 502
    eventually(lambda: refused_with(acme) == status, timeout=5, what="the row to say so")
    assert CredentialAlert.objects.filter(credential=acme.credential, status=status).count() == 1
    page = page_of(acme)
    assert f"Refused with status {status}" in page
    assert remedy in page

    eventually(lambda: ask(acme).status_code == 200 and refused_with(acme) is None, timeout=5, what="it to be cleared")
    assert "Nothing is held against it" in page_of(acme)


def test_one_model_that_is_forbidden_is_named(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.fails(403)
    assert ask(acme, model="renamed").status_code == 502
    eventually(lambda: refused_with(acme) == 403, timeout=5, what="the row to say so")
    assert acme.credential.refused_model == "upstream/other"
    for _ in range(3):
        assert ask(acme).status_code == 200
    assert refused_with(acme) == 403
    eventually(
        lambda: ask(acme, model="renamed").status_code == 200 and refused_with(acme) is None,
        timeout=5,
        what="it to be cleared",
    )


def test_googles_own_way_of_refusing_a_key_is_noted(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}, status=400)
    assert ask(acme).status_code == 502
    eventually(lambda: refused_with(acme) == 400, timeout=5, what="the row to say so")


def test_a_moderation_that_comes_as_403_is_not_the_credentials_fault(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.answers({"error": {"message": "flagged", "code": 403, "metadata": {"flagged_input": "…"}}}, status=403)
    response = ask(acme)
    assert response.status_code == 403
    assert ask(acme).status_code == 200
    assert refused_with(acme) is None


def test_a_new_secret_clears_it(acme: Tenant, upstream: FakeProvider) -> None:
    from apps.providers.actions import credential_rotate_secret

    upstream.fails(401, always=True)
    ask(acme)
    eventually(lambda: refused_with(acme) == 401, timeout=5, what="the row to say so")
    credential_rotate_secret(credential=acme.credential, secret="sk-new-0123456789abcdef", actor=ACTOR)
    acme.credential.refresh_from_db()
    assert acme.credential.refused_at is None


def test_the_console_and_metrics_show_what_fails_and_since_when(acme: Tenant, upstream: FakeProvider) -> None:
    upstream.fails(429, headers={"retry-after": "40"})
    assert ask(acme).status_code == 429
    page = eventually(lambda: text if "takes no more for now" in (text := page_of(acme)) else "", what="the circuit")
    assert "gpt-test" in page
    assert "as the provider wants" in page
    assert "share the calls out by weight" in page
    name = 'tollgate_route_open{credential="fake provider",model="gpt-test",provider="openai_compatible"}'
    assert acme.gateway.metrics()[name] == 1.0
    assert acme.gateway.metrics()['tollgate_attempts_failed_total{kind="limited"}'] >= 1


def test_without_the_store_the_console_says_that_it_does_not_know(acme: Tenant, settings: Any) -> None:
    from apps.core.stores import store

    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1"
    store.cache_clear()
    try:
        assert "Each gateway goes by what it has seen itself" in page_of(acme)
    finally:
        settings.REDIS_URL = url
        store.cache_clear()
