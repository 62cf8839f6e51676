"""Single sign-on where an organization lets people of its domain join by themselves."""

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from tests.sso.conftest import ACTOR, PASSWORD, SignIn
from tests.sso.provider import IdentityProvider
from tests.sso.test_sign_in import events, signed_in_as

if TYPE_CHECKING:
    from apps.orgs.models import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def beta(acme: "Organization", settings: Any, idp: IdentityProvider) -> "Organization":
    """One of two organizations, which lets everybody at acme.test join as billing; nobody joins otherwise."""
    from apps.orgs.actions import organization_create, organization_update
    from apps.orgs.signup.actions import sign_up_domains_set

    settings.OIDC_AUTO_JOIN = False
    made = organization_create(name="Beta", slug="beta", actor=ACTOR)
    organization_update(organization=made, sign_up_role="billing", actor=ACTOR)
    sign_up_domains_set(organization=made, domains=["acme.test"], actor=ACTOR)
    return made


def roles() -> dict[str, str]:
    from apps.orgs.models import Membership

    return {each.organization.slug: each.role for each in Membership.objects.select_related("organization")}


def test_a_newcomer_of_the_domain_joins_without_an_invitation(sign_in: SignIn, browser: Client, beta: "Organization"):
    assert sign_in()["Location"] == "/admin/"

    assert signed_in_as(browser) == "ana@acme.test"
    assert roles() == {"beta": "billing"}
    (event,) = events("sign_up_domain.used")
    assert (event.organization_id, event.actor_label) == (beta.pk, "ana@acme.test")


def test_passwords_turned_off_change_nothing_of_that(sign_in: SignIn, beta: "Organization", settings: Any):
    settings.EMAIL_AUTH_DISABLED = True
    sign_in()
    assert roles() == {"beta": "billing"}


@pytest.mark.parametrize(
    "claims", [{"email_verified": False}, {"email_verified": None}, {"email": "ana@else.test"}], ids=str
)
def test_an_e_mail_that_is_not_verified_or_of_another_domain_brings_nobody_in(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, beta: "Organization", settings: Any, claims: Any
):
    settings.OIDC_ALLOWED_DOMAINS = ["acme.test", "else.test"]
    idp.claims = claims

    assert sign_in().status_code == 403
    assert (signed_in_as(browser), roles()) == (None, {})


def test_the_allowed_domains_of_the_installation_go_first(sign_in: SignIn, beta: "Organization", settings: Any):
    settings.OIDC_ALLOWED_DOMAINS = ["other.test"]
    assert sign_in().status_code == 403
    assert roles() == {}


def test_auto_join_and_the_domain_each_do_their_part(sign_in: SignIn, beta: "Organization", settings: Any):
    settings.OIDC_AUTO_JOIN, settings.OIDC_ORGANIZATION = True, "acme"
    sign_in()
    assert roles() == {"acme": "member", "beta": "billing"}


def test_in_the_same_organization_the_domains_role_holds_and_a_groups_goes_before_it(
    sign_in: SignIn, idp: IdentityProvider, beta: "Organization", settings: Any
):
    settings.OIDC_AUTO_JOIN, settings.OIDC_ORGANIZATION = True, "beta"
    sign_in()
    assert roles() == {"beta": "billing"}

    settings.OIDC_GROUP_ROLES = {"auditors": "auditor"}
    idp.claims = {"sub": "2002", "email": "ben@acme.test", "groups": ["auditors"]}
    sign_in(client=Client())
    from apps.orgs.models import Membership

    assert Membership.objects.get(user__email="ben@acme.test").role == "auditor"


def test_an_account_that_is_there_is_offered_to_join_and_not_made_a_member(
    sign_in: SignIn, browser: Client, beta: "Organization"
):
    from apps.orgs.actions import user_create

    user_create(email="ana@acme.test", password=None, actor=ACTOR)
    sign_in()

    assert signed_in_as(browser) == "ana@acme.test"
    assert roles() == {}
    assert "/join/" in browser.get("/organizations/").content.decode()
    assert browser.post(f"/organizations/{beta.pk}/join/").status_code == 302
    assert roles() == {"beta": "billing"}


@pytest.mark.parametrize("auto_join", [False, True])
def test_somebody_who_has_left_does_not_come_back_as_a_newcomer(
    sign_in: SignIn, browser: Client, beta: "Organization", settings: Any, auto_join: bool
):
    from apps.orgs.actions import member_add, member_remove, user_create, user_update
    from apps.orgs.models import User

    settings.OIDC_AUTO_JOIN, settings.OIDC_ORGANIZATION = auto_join, "beta"
    user = user_create(email="ana@acme.test", password=PASSWORD, actor=ACTOR)
    member_remove(membership=member_add(organization=beta, user=user, role="member", actor=ACTOR), actor=ACTOR)
    user_update(user=user, email="ana@else.test", actor=ACTOR)

    sign_in()

    assert (roles(), signed_in_as(browser)) == ({}, None)
    assert User.objects.get() == user
    assert [event.after["code"] for event in events("sso.refused")] == ["not_invited"]
