"""People are told that a provider refuses a credential, once, with what to do about it; and it is noted until it is mended."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils.timezone import now

from apps.audit.models import AdminEvent
from apps.core.env import networks
from apps.core.mail import mail_server
from apps.core.stores import store
from apps.orgs.actions import owner_create
from apps.orgs.models import Organization, User
from apps.policies.actions.webhooks import webhook_add
from apps.policies.alerts import alerts_deliver
from apps.policies.credential_alerts import credentials_watch
from apps.policies.models import AlertDelivery, Channel, CredentialAlert, DeliveryState
from apps.providers.actions import credential_add, credential_rotate_secret, credential_update
from apps.providers.health import shared
from apps.providers.health.shared import CredentialNews
from apps.providers.models import Credential
from tests.support.mail import MailSink
from tests.support.receiver import Receiver
from tests.support.spending import ACTOR, an_organization


@pytest.fixture(autouse=True)
def db(django_db_setup: None, django_db_blocker: Any, settings: Any) -> Iterator[None]:
    """Written to for good, as deliveries are committed one by one; each test has its own organization."""
    settings.EGRESS_ALLOW = networks("127.0.0.0/8")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with django_db_blocker.unblock():
        AlertDelivery.objects.filter(state=DeliveryState.PENDING).update(state=DeliveryState.FAILED)
        store().delete(shared.NEWS)
        yield
        store().delete(shared.NEWS)


@pytest.fixture
def mail(settings: Any) -> Iterator[MailSink]:
    with MailSink() as sink:
        settings.EMAIL_SERVER = mail_server(sink.url)
        settings.DEFAULT_FROM_EMAIL = "Tollgate <gate@example.org>"
        yield sink


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def owner(organization: Organization) -> User:
    return owner_create(
        organization=organization,
        email=f"owner@{organization.slug}.test",
        password="correct horse battery staple",
        actor=ACTOR,
    )


@pytest.fixture
def credential(organization: Organization) -> Credential:
    return made(organization)


def made(organization: Organization | None) -> Credential:
    return credential_add(
        organization=organization,
        provider="openai_compatible",
        label=f"main-{uuid4().hex[:8]}",
        base_url="http://127.0.0.1:9/v1",
        secret="sk-0123456789abcdef",
        actor=ACTOR,
    )


def told(credential: Credential, status: int, *, model: str = "gpt-test", at: float | None = None) -> int:
    """A gateway tells, and a worker looks. How many alerts that raised."""
    news = CredentialNews(
        credential=credential.pk.hex, model=model, status=status, at=time.time() if at is None else at
    )
    store().rpush(shared.NEWS, shared.news_written(news).decode())
    raised = credentials_watch()
    credential.refresh_from_db()
    return raised


def events(credential: Credential) -> list[str]:
    rows = AdminEvent.objects.filter(target_id=credential.pk).order_by("id")
    return [event.action for event in rows if event.action != "credential.added"]


@pytest.mark.parametrize("status", [400, 401, 402, 403])
def test_a_refusal_is_noted_on_the_credential_with_an_event(credential: Credential, status: int) -> None:
    changed = credential.updated_at
    assert told(credential, status) == 1
    assert credential.refused_at is not None
    assert now() - credential.refused_at < timedelta(seconds=10)
    assert credential.refused_status == status
    assert credential.refused_model == ("gpt-test" if status == 403 else "")
    assert credential.updated_at == changed
    assert events(credential) == ["credential.refused"]


def test_it_is_told_once_however_often_it_is_refused(credential: Credential, owner: User) -> None:
    assert told(credential, 401) == 1
    assert [told(credential, 401) for _ in range(3)] == [0, 0, 0]
    assert CredentialAlert.objects.filter(credential=credential).count() == 1
    assert events(credential) == ["credential.refused"]


def test_the_next_answer_clears_it(credential: Credential) -> None:
    told(credential, 401)
    assert told(credential, 0, model="any-other") == 0
    assert (credential.refused_at, credential.refused_status, credential.refused_model) == (None, None, "")
    assert events(credential) == ["credential.refused", "credential.accepted"]


def test_an_answer_of_another_model_does_not_clear_what_was_refused_for_one(credential: Credential) -> None:
    told(credential, 403, model="dear")
    told(credential, 0, model="cheap")
    assert credential.refused_model == "dear"
    told(credential, 0, model="dear")
    assert credential.refused_at is None


def test_news_that_come_late_do_not_undo_what_came_after(credential: Credential) -> None:
    told(credential, 401)
    told(credential, 0, at=time.time() - 60)
    assert credential.refused_at is not None


@pytest.mark.parametrize("how", ["rotate", "update"])
def test_a_new_secret_clears_it_and_refusals_of_the_old_one_do_not_bring_it_back(
    credential: Credential, how: str
) -> None:
    told(credential, 401)
    before = time.time()
    if how == "rotate":
        credential_rotate_secret(credential=credential, secret="sk-new-0123456789abcdef", actor=ACTOR)
    else:
        credential_update(credential=credential, secret="sk-new-0123456789abcdef", actor=ACTOR)
    credential.refresh_from_db()
    assert credential.refused_at is None
    assert told(credential, 401, at=before) == 0
    assert credential.refused_at is None


def test_another_change_leaves_it(credential: Credential) -> None:
    told(credential, 401)
    credential_update(credential=credential, priority=7, actor=ACTOR)
    credential.refresh_from_db()
    assert credential.refused_status == 401


def test_one_that_comes_and_goes_is_told_once_an_hour(credential: Credential) -> None:
    assert told(credential, 401) == 1
    told(credential, 0)
    assert told(credential, 401) == 0
    assert credential.refused_status == 401
    told(credential, 0)
    CredentialAlert.objects.filter(credential=credential).update(created_at=now() - timedelta(minutes=61))
    assert told(credential, 401) == 1


def test_owners_and_webhooks_hear_of_it_with_what_to_do(
    organization: Organization, credential: Credential, owner: User, mail: MailSink
) -> None:
    with Receiver() as receiver:
        webhook_add(organization=organization, url=receiver.url, actor=ACTOR)
        told(credential, 402)
        assert alerts_deliver() == 2
        (call,) = receiver.received
    (message,) = mail.messages
    assert message["To"] == owner.email
    assert message["Subject"] == f"Credential {credential.label}: refused with 402"
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode()
    assert "settle it with the provider" in text
    assert f"/admin/providers/credential/{credential.pk}/change/" in text
    body = json.loads(call.body)
    assert body["type"] == "credential.refused"
    assert body["data"]["credential"] == credential.label
    assert (body["data"]["status"], body["data"]["model"]) == (402, None)
    assert body["data"]["organization"] == organization.slug
    assert "sk-" not in text + str(body)


def test_the_installations_own_credential_is_told_to_its_operators_alone() -> None:
    other = User.objects.create(email=f"user-{uuid4().hex[:8]}@example.org")
    operator = User.objects.create(email=f"root-{uuid4().hex[:8]}@example.org", is_superuser=True, is_staff=True)
    hosted = made(None)
    try:
        assert told(hosted, 401) == 1
        alert = CredentialAlert.objects.get(credential=hosted)
        assert alert.organization is None
        targets = set(alert.deliveries.values_list("channel", "target"))
        assert (Channel.EMAIL, operator.email) in targets
        assert (Channel.EMAIL, other.email) not in targets
    finally:
        hosted.delete()
        User.objects.filter(pk=operator.pk).update(is_superuser=False, is_active=False)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{}",
        "[]",
        "nonsense",
        '{"credential":5}',
        '{"credential":"x","model":"m","status":401,"at":1}',
        f'{{"credential":"{uuid4().hex}","model":"m","status":401,"at":1e300}}',
        f'{{"credential":"{uuid4().hex}","model":"m","status":401,"at":1}}',
    ],
)
def test_news_that_cannot_be_meant_are_dropped(value: str) -> None:
    store().rpush(shared.NEWS, value)
    assert credentials_watch() == 0
    assert not store().exists(shared.NEWS)


def test_without_the_store_nothing_is_found_and_nothing_breaks(settings: Any) -> None:
    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1"
    store.cache_clear()
    try:
        assert credentials_watch() == 0
    finally:
        settings.REDIS_URL = url
        store.cache_clear()


def test_what_is_told_is_read_as_it_was_written() -> None:
    news = CredentialNews(credential=uuid4().hex, model="gpt:4/o", status=403, at=datetime.now(UTC).timestamp())
    assert shared.news_read(shared.news_written(news).decode()) == news
