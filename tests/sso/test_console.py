"""The console's page about identities."""

from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.urls import reverse

from tests.sso.conftest import ACTOR, SignIn
from tests.sso.provider import IdentityProvider
from tests.sso.test_sign_in import events, signed_in_as

if TYPE_CHECKING:
    from apps.orgs.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(acme: "Organization") -> Client:
    from apps.orgs.actions import owner_create

    client = Client()
    client.force_login(owner_create(organization=acme, email="owner@acme.test", password=None, actor=ACTOR))
    return client


def test_platform_staff_see_identities_and_disconnect_them(
    staff: Client, sign_in: SignIn, idp: IdentityProvider, acme: "Organization"
):
    from apps.orgs.sso.models import Identity

    sign_in()
    identity = Identity.objects.get()
    assert b"ana@acme.test" in staff.get(reverse("admin:sso_identity_changelist"), {"q": "ana"}).content
    page = reverse("admin:sso_identity_change", args=(identity.pk,))
    assert idp.issuer.encode() in staff.get(page).content

    staff.get(f"{page}disconnect/")
    assert Identity.objects.exists()
    staff.post(reverse("admin:sso_identity_disconnect", args=(identity.pk,)))

    assert not Identity.objects.exists()
    (event,) = events("sso.disconnected")
    assert (event.actor_label, event.target_label) == ("owner@acme.test", "ana@acme.test")
    assert event.before["subject"] == "1001"
    idp.claims = {"sub": "2002"}
    again = Client()
    sign_in(client=again)
    assert signed_in_as(again) == "ana@acme.test"


def test_members_see_no_identities(sign_in: SignIn, browser: Client, acme: "Organization"):
    from apps.orgs.sso.models import Identity

    sign_in()

    assert browser.get(reverse("admin:sso_identity_changelist")).status_code == 403
    page = reverse("admin:sso_identity_disconnect", args=(Identity.objects.get().pk,))
    assert browser.post(page).status_code in {403, 404}
    assert Identity.objects.exists()
