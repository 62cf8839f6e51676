"""Objects in PostgreSQL: whose they are, what is counted, and what is forgotten."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from apps.core.ids import uuid7
from apps.objects.actions import objects_forget
from apps.objects.models import OwnedObject
from apps.objects.selectors import objects_held
from apps.orgs.models import Organization, User
from apps.providers.actions import credential_add
from apps.providers.models import Credential
from apps.services.actions import token_issue
from apps.services.models import Service, Token
from tests.support.spending import ACTOR, a_service, an_organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Organization:
    return an_organization()


@pytest.fixture
def service(acme: Organization) -> Service:
    return a_service(acme)


@pytest.fixture
def token(service: Service) -> Token:
    return token_issue(service=service, name="test", actor=ACTOR)[0]


@pytest.fixture
def credential(acme: Organization) -> Credential:
    return credential_add(organization=acme, provider="openai", label="main", secret="sk-0123456789abcdef", actor=ACTOR)


def keep(token: Token, credential: Credential, **fields: Any) -> OwnedObject:
    fields = {"kind": "file", "upstream_id": f"file-{uuid4().hex}", **fields}
    made: OwnedObject = OwnedObject.objects.create(
        organization=token.organization, service=token.service, token=token, credential=credential, **fields
    )
    return made


def test_an_object_has_one_owner(token: Token, credential: Credential, acme: Organization) -> None:
    keep(token, credential, upstream_id="file-1")
    other = token_issue(service=a_service(acme), name="other", actor=ACTOR)[0]
    with pytest.raises(IntegrityError), transaction.atomic():
        keep(other, credential, upstream_id="file-1")
    keep(other, credential, upstream_id="file-1", kind="batch")


def test_what_a_credential_holds_is_counted_by_kind(token: Token, credential: Credential) -> None:
    assert objects_held(credential) == {}
    keep(token, credential)
    keep(token, credential)
    keep(token, credential, deleted_at=now())
    keep(token, credential, kind="response")
    assert objects_held(credential) == {"file": 2, "response": 1}


def test_a_credential_cannot_be_deleted_under_what_it_holds(token: Token, credential: Credential) -> None:
    keep(token, credential)
    with pytest.raises(Exception, match="protected"):
        credential.delete()


def test_old_responses_and_what_was_deleted_are_forgotten_but_for_what_is_to_be_paid(
    token: Token, credential: Credential
) -> None:
    long_ago = int((now() - timedelta(days=100)).timestamp() * 1000)
    old = keep(token, credential, id=uuid7(long_ago), kind="response")
    unpaid = keep(token, credential, id=uuid7(long_ago), kind="response", awaited=True)
    fresh = keep(token, credential, kind="response")
    old_file = keep(token, credential, id=uuid7(long_ago))
    gone = keep(token, credential, deleted_at=now() - timedelta(days=40))
    just_gone = keep(token, credential, deleted_at=now())
    forgotten = objects_forget(responses_before=now() - timedelta(days=90), deleted_before=now() - timedelta(days=30))
    assert forgotten == 2
    left = set(OwnedObject.objects.values_list("pk", flat=True))
    assert left == {unpaid.pk, fresh.pk, old_file.pk, just_gone.pk}
    assert {old.pk, gone.pk}.isdisjoint(left)


# --- The console's page ---


@pytest.fixture
def console(client: Client) -> Client:
    client.force_login(User.objects.create_superuser(email=f"{uuid4().hex}@acme.test", password="x"))
    return client


def test_the_page_shows_whose_an_object_is_and_finds_it_by_its_id(
    console: Client, token: Token, credential: Credential
) -> None:
    row = keep(token, credential, upstream_id="file-abc", facts={"filename": "<script>"})
    keep(token, credential, upstream_id="file-other")
    url = reverse("admin:objects_ownedobject_changelist")
    page = console.get(url, {"q": "file-abc"}).content.decode()
    assert "file-abc" in page
    assert "file-other" not in page
    shown = console.get(reverse("admin:objects_ownedobject_change", args=[row.pk])).content.decode()
    assert str(token.service) in shown
    assert "<script>&quot;" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("field", ["service__id__exact", "credential__id__exact", "kind__exact"])
def test_the_page_is_filtered_without_reading_every_row(
    console: Client, token: Token, credential: Credential, field: str
) -> None:
    values = {"service__id__exact": token.service_id, "credential__id__exact": credential.pk, "kind__exact": "batch"}
    keep(token, credential, kind="batch", upstream_id="batch_1")
    rows = OwnedObject.objects.filter(**{field.replace("__id__exact", "_id").replace("__exact", ""): values[field]})
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = rows.order_by("-id")[:50].explain()
    assert "Index" in plan
    assert "Sort" not in plan
    assert (
        "batch_1"
        in console.get(reverse("admin:objects_ownedobject_changelist"), {field: values[field]}).content.decode()
    )


def test_nothing_can_be_changed_on_the_page(console: Client, token: Token, credential: Credential) -> None:
    row = keep(token, credential)
    change = reverse("admin:objects_ownedobject_change", args=[row.pk])
    assert console.post(change, {"upstream_id": "file-stolen"}).status_code == 403
    assert console.get(reverse("admin:objects_ownedobject_add")).status_code == 403
