"""Signing in through an identity provider that tells the truth: who gets in, as whom, and what is recorded."""

from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils.timezone import now

from tests.sso.conftest import ACTOR, PASSWORD, SignIn
from tests.sso.provider import IdentityProvider

if TYPE_CHECKING:
    from apps.orgs.models import Organization

pytestmark = pytest.mark.django_db
HOUR = 3600


def events(action: str) -> list[Any]:
    from apps.audit.models import AdminEvent

    return list(AdminEvent.objects.filter(action=action).order_by("id"))


def signed_in_as(client: Client) -> str | None:
    from apps.orgs.models import User

    user_id = client.session.get("_auth_user_id")
    return User.objects.get(pk=user_id).email if user_id else None


def test_a_newcomer_of_an_allowed_domain_becomes_a_member(sign_in: SignIn, browser: Client, acme: "Organization"):
    from apps.orgs.models import Membership

    answer = sign_in()

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert signed_in_as(browser) == "ana@acme.test"
    membership = Membership.objects.get()
    assert (membership.organization, membership.role, membership.user.name) == (acme, "member", "Ana Acme")
    assert not membership.user.has_usable_password()


def test_a_sign_in_leaves_an_event(sign_in: SignIn, idp: IdentityProvider, acme: "Organization"):
    sign_in()

    (event,) = events("sso.signed_in")
    assert (event.actor_label, event.address, event.organization_id) == ("ana@acme.test", "127.0.0.1", acme.pk)
    assert event.after == {"issuer": idp.issuer, "subject": "1001", "email": "ana@acme.test"}
    assert [each.target_label for each in events("sso.connected")] == ["ana@acme.test"]


def test_whoever_comes_again_is_the_same_user(sign_in: SignIn, acme: "Organization"):
    from apps.orgs.models import User

    sign_in()
    sign_in(client=Client())

    assert User.objects.count() == 1
    assert len(events("sso.signed_in")) == 2
    assert len(events("sso.connected")) == 1


def test_the_provider_is_asked_with_pkce_a_nonce_and_a_state_and_with_a_secret(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    sent = parse_qs(urlsplit(browser.get("/sso/start/")["Location"]).query)
    sign_in()

    assert sent["response_type"] == ["code"]
    assert sent["scope"] == ["openid email profile"]
    assert sent["redirect_uri"] == ["http://testserver/sso/callback/"]
    assert sent["code_challenge_method"] == ["S256"]
    assert all(len(sent[name][0]) >= 32 for name in ("state", "nonce", "code_challenge"))
    ((_path, form, authorization),) = [asked for asked in idp.asked if asked[0] == "/token"]
    assert b64decode(authorization.removeprefix("Basic ")).decode() == "tollgate:a+secret%3A+with+%25+and+%2B"
    assert "client_secret" not in form
    assert len(form["code_verifier"]) == 64


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization"
):
    idp.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

    sign_in()

    ((_path, form, authorization),) = [asked for asked in idp.asked if asked[0] == "/token"]
    assert (form["client_secret"], authorization) == ("a secret: with % and +", None)


def test_a_thin_token_is_filled_up_from_userinfo(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.claims = {"email": None, "email_verified": None, "name": None}
    idp.userinfo = {"email": "Thin@Acme.test", "email_verified": True, "name": "Thin"}

    sign_in()

    assert signed_in_as(browser) == "thin@acme.test"


@pytest.mark.parametrize(
    ("wish", "where"),
    [
        ("/admin/orgs/organization/", "/admin/orgs/organization/"),
        ("http://testserver/admin/password_change/", "http://testserver/admin/password_change/"),
        ("https://evil.example/", "/admin/"),
        ("//evil.example/", "/admin/"),
        ("/\\evil.example/", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
    ],
)
def test_one_comes_back_to_where_one_wanted_to_go_if_that_is_here(
    sign_in: SignIn, acme: "Organization", wish: str, where: str
):
    assert sign_in(to=wish)["Location"] == where


def test_the_session_is_another_after_the_sign_in(sign_in: SignIn, browser: Client, acme: "Organization"):
    browser.get("/sso/start/")
    before = browser.session.session_key

    sign_in()

    assert browser.session.session_key != before


def test_who_is_refused_may_try_another_account_and_still_gets_where_they_wanted(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    idp.claims = {"email": "ana@elsewhere.example"}

    page = sign_in(to="/admin/orgs/user/").content.decode()

    assert 'href="/sso/start/?next=%2Fadmin%2Forgs%2Fuser%2F&amp;other=1"' in page
    left = browser.get("/sso/start/?next=%2Fadmin%2Forgs%2Fuser%2F&other=1")["Location"]
    assert parse_qs(urlsplit(left).query)["prompt"] == ["select_account"]
    idp.claims = {}
    assert browser.get("/sso/callback/", idp.approves(left))["Location"] == "/admin/orgs/user/"


def test_a_session_ends_when_the_provider_is_to_be_asked_again(
    sign_in: SignIn, browser: Client, acme: "Organization", settings: Any
):
    settings.OIDC_SESSION_AGE = HOUR

    sign_in()
    ends = browser.session.get_expiry_date()
    browser.get("/admin/")

    assert abs((ends - now()).total_seconds() - HOUR) < 60
    assert browser.session.get_expiry_date() == ends


def test_a_name_of_any_kind_is_kept_as_far_as_it_can_be_read(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization"
):
    from apps.orgs.models import User

    idp.claims = {"name": "Ana\0\ud800\n  <b>" + "x" * 200}

    sign_in()

    assert User.objects.get().name == ("Ana <b>" + "x" * 200)[:100]


def test_without_settings_there_is_no_single_sign_on(browser: Client):
    assert [browser.get(f"/sso/{path}/").status_code for path in ("start", "callback", "connect")] == [404] * 3


def test_two_sign_ins_in_two_tabs_both_arrive(idp: IdentityProvider, browser: Client, acme: "Organization"):
    first = browser.get("/sso/start/", {"next": "/admin/a/"})["Location"]
    second = browser.get("/sso/start/", {"next": "/admin/b/"})["Location"]

    assert browser.get("/sso/callback/", idp.approves(second))["Location"] == "/admin/b/"
    assert browser.get("/sso/callback/", idp.approves(first))["Location"] == "/admin/a/"


def test_an_e_mail_that_changes_at_the_provider_changes_here_and_the_user_stays(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization"
):
    from apps.orgs.models import User

    sign_in()
    user = User.objects.get()
    idp.claims = {"email": "ana.new@acme.test"}

    sign_in(client=Client())

    assert User.objects.get().pk == user.pk
    assert User.objects.get().email == "ana.new@acme.test"


def test_who_gets_the_e_mail_that_somebody_else_had_does_not_get_the_account(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization"
):
    from apps.orgs.models import User

    sign_in()
    other = Client()
    idp.claims = {"sub": "2002"}

    answer = sign_in(client=other)

    assert answer.status_code == 409
    assert b"connected_elsewhere" in answer.content
    assert signed_in_as(other) is None
    assert User.objects.count() == 1


def test_who_is_switched_off_stays_out(sign_in: SignIn, browser: Client, acme: "Organization"):
    from apps.orgs.models import User

    sign_in()
    User.objects.update(is_active=False)

    assert browser.get("/admin/").status_code == 302  # the session that there was has ended
    answer = sign_in(client=browser)

    assert answer.status_code == 403
    assert b"switched_off" in answer.content


# --- Accounts that were here before ---


def make_user(acme: "Organization", *, password: str | None, email: str = "ana@acme.test", role: str = "member") -> Any:
    from apps.orgs.actions import member_add, user_create

    user = user_create(email=email, password=password, actor=ACTOR)
    member_add(organization=acme, user=user, role=role, actor=ACTOR)
    return user


def test_an_account_without_other_ways_in_is_connected_by_its_e_mail(
    sign_in: SignIn, browser: Client, acme: "Organization"
):
    from apps.orgs.models import User

    make_user(acme, password=None)

    sign_in()

    assert signed_in_as(browser) == "ana@acme.test"
    assert User.objects.count() == 1


def test_an_account_with_a_password_is_not_connected_by_its_e_mail(
    sign_in: SignIn, browser: Client, acme: "Organization"
):
    from apps.orgs.sso.models import Identity

    make_user(acme, password=PASSWORD)

    answer = sign_in()

    assert answer["Location"] == "/sso/connect/"
    assert [event.after["code"] for event in events("sso.refused")] == ["unconfirmed"]
    assert signed_in_as(browser) is None
    page = browser.get("/sso/connect/")
    assert b"Sign in and connect" in page.content
    assert b"next=%2Fsso%2Fconnect%2F" in page.content
    assert browser.post("/sso/connect/").status_code == 200
    assert not Identity.objects.exists()


def test_an_account_with_a_passkey_is_not_connected_by_its_e_mail(sign_in: SignIn, acme: "Organization"):
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=make_user(acme, password=None), type=Authenticator.Type.WEBAUTHN, data={})

    assert sign_in()["Location"] == "/sso/connect/"


def test_where_there_are_no_passwords_an_old_one_keeps_nobody_out(
    sign_in: SignIn, browser: Client, acme: "Organization", settings: Any
):
    settings.EMAIL_AUTH_DISABLED = True
    make_user(acme, password=PASSWORD)

    sign_in()

    assert signed_in_as(browser) == "ana@acme.test"


def test_an_owner_who_was_set_up_without_a_password_gets_in(sign_in: SignIn, browser: Client, acme: "Organization"):
    from apps.orgs.actions import owner_create

    owner_create(organization=acme, email="ana@acme.test", password=None, actor=ACTOR)

    sign_in()

    assert signed_in_as(browser) == "ana@acme.test"
    assert role_of() == "owner"


def test_the_sign_in_page_offers_it_and_keeps_where_one_wanted_to_go(
    idp: IdentityProvider, browser: Client, acme: "Organization"
):
    make_user(acme, password=PASSWORD)  # with nobody there yet it would lead to the page that sets an installation up
    page = browser.get("/sign-in/", {"next": "/admin/orgs/user/"}).content.decode()

    assert 'href="/sso/start/?next=%2Fadmin%2Forgs%2Fuser%2F"' in page
    assert "Continue with Acme ID" in page


def test_an_account_with_a_password_is_connected_once_its_owner_agrees(
    sign_in: SignIn, browser: Client, acme: "Organization"
):
    user = make_user(acme, password=PASSWORD)
    sign_in(to="/admin/orgs/user/")
    browser.force_login(user)

    assert b"Connect with Acme ID" in browser.get("/sso/connect/").content
    assert browser.post("/sso/connect/")["Location"] == "/admin/orgs/user/"

    assert [event.actor_label for event in events("sso.connected")] == ["ana@acme.test"]
    anywhere = Client()
    sign_in(client=anywhere)
    assert signed_in_as(anywhere) == "ana@acme.test"


def test_nobody_connects_another_account_than_that_of_the_e_mail(
    sign_in: SignIn, browser: Client, acme: "Organization"
):
    from apps.orgs.sso.models import Identity

    make_user(acme, password=PASSWORD)
    other = make_user(acme, password=PASSWORD, email="mallory@acme.test")
    sign_in()
    browser.force_login(other)

    assert b"Connect with" not in browser.get("/sso/connect/").content
    assert browser.post("/sso/connect/").status_code == 200
    assert not Identity.objects.exists()


def test_connecting_asks_for_a_csrf_token(sign_in: SignIn, idp: IdentityProvider, acme: "Organization"):
    user = make_user(acme, password=PASSWORD)
    strict = Client(enforce_csrf_checks=True)
    sign_in(client=strict)
    strict.force_login(user)

    assert strict.post("/sso/connect/").status_code == 403


# --- Who may come ---


def test_without_auto_join_a_newcomer_needs_an_invitation(
    sign_in: SignIn, browser: Client, acme: "Organization", settings: Any
):
    from apps.orgs.models import User

    settings.OIDC_AUTO_JOIN = False

    answer = sign_in()

    assert answer.status_code == 403
    assert b"not_invited" in answer.content
    assert not User.objects.exists()
    assert signed_in_as(browser) is None


def test_where_there_are_several_organizations_the_setting_says_which_one_people_join(
    sign_in: SignIn, browser: Client, acme: "Organization", settings: Any
):
    from apps.orgs.actions import organization_create
    from apps.orgs.models import Membership, User

    organization_create(name="Zeta", slug="zeta", actor=ACTOR)

    assert b"no_organization" in sign_in().content
    assert not User.objects.exists()
    settings.OIDC_ORGANIZATION = "zeta"
    sign_in()

    assert Membership.objects.get().organization.slug == "zeta"


@pytest.fixture
def invitation(acme: "Organization", settings: Any) -> str:
    """The path of a link for ana@acme.test, who may come by invitation only."""
    from apps.orgs.invitations.actions import invitation_create

    settings.OIDC_AUTO_JOIN = False
    return invitation_create(organization=acme, email="ana@acme.test", role="auditor", actor=ACTOR)[1]


def test_an_invited_newcomer_gets_what_the_invitation_gives(
    sign_in: SignIn, browser: Client, acme: "Organization", invitation: str
):
    answer = sign_in(to=invitation)

    assert answer["Location"] == "/admin/"  # there is nothing left to accept
    assert signed_in_as(browser) == "ana@acme.test"
    assert role_of() == "auditor"
    assert [event.actor_label for event in events("invitation.accepted")] == ["ana@acme.test"]


def test_an_invitation_of_another_address_lets_nobody_in(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, invitation: str
):
    idp.claims = {"email": "eve@acme.test"}

    assert b"not_invited" in sign_in(to=invitation).content
    assert signed_in_as(browser) is None


def test_an_invitation_that_is_over_lets_nobody_in(sign_in: SignIn, browser: Client, invitation: str):
    from apps.orgs.invitations.actions import invitation_revoke
    from apps.orgs.invitations.models import Invitation
    from apps.orgs.models import User

    invitation_revoke(invitation=Invitation.objects.get(), actor=ACTOR)

    assert b"not_invited" in sign_in(to=invitation).content
    assert not User.objects.exists()


def test_an_invitation_by_somebody_who_may_no_longer_invite_lets_nobody_in(
    sign_in: SignIn, acme: "Organization", settings: Any
):
    from apps.core.actor import Actor
    from apps.orgs.actions import member_remove
    from apps.orgs.invitations.actions import invitation_create
    from apps.orgs.models import Membership, User

    settings.OIDC_AUTO_JOIN = False
    admin = make_user(acme, password=None, email="admin@acme.test", role="admin")
    by = Actor(door="admin", label="admin@acme.test", user_id=admin.pk)
    invitation_create(organization=acme, email="ana@acme.test", role="member", actor=by)
    member_remove(membership=Membership.objects.get(user=admin), actor=ACTOR)

    assert b"not_invited" in sign_in().content
    assert not User.objects.filter(email="ana@acme.test").exists()


def test_who_was_here_before_comes_to_the_invitation_to_accept_it(
    sign_in: SignIn, browser: Client, acme: "Organization", invitation: str
):
    from apps.orgs.actions import user_create

    user_create(email="ana@acme.test", password=None, actor=ACTOR)

    assert sign_in(to=invitation)["Location"] == invitation
    browser.post(invitation)

    assert role_of() == "auditor"


def test_where_there_is_no_room_a_newcomer_gets_a_page(
    sign_in: SignIn, browser: Client, acme: "Organization", settings: Any
):
    from apps.orgs.models import User

    settings.TENANCY = "tests.tenancy.plans.Plans"  # two members
    for name in ("a", "b"):
        make_user(acme, password=None, email=f"{name}@acme.test")

    answer = sign_in()

    assert (answer.status_code, b"not_admitted" in answer.content) == (403, True)
    assert not User.objects.filter(email="ana@acme.test").exists()


def test_where_there_is_no_room_an_invitation_lets_nobody_in(
    sign_in: SignIn, acme: "Organization", invitation: str, settings: Any
):
    settings.TENANCY = "tests.tenancy.plans.Plans"
    for name in ("a", "b"):
        make_user(acme, password=None, email=f"{name}@acme.test")

    assert sign_in().status_code == 403


def test_where_a_group_finds_no_room_its_person_signs_in_all_the_same(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization", settings: Any
):
    from apps.orgs.models import Membership

    sign_in()
    Membership.objects.all().delete()
    settings.TENANCY = "tests.tenancy.plans.Plans"
    for name in ("a", "b"):
        make_user(acme, password=None, email=f"{name}@acme.test")
    settings.OIDC_GROUP_ROLES = {"ops": "admin"}
    idp.claims = {"groups": ["ops"]}

    assert sign_in().status_code == 302
    assert signed_in_as(browser) == "ana@acme.test"
    assert Membership.objects.count() == 2


# --- Groups ---


def role_of(email: str = "ana@acme.test") -> str:
    from apps.orgs.models import Membership

    return Membership.objects.get(user__email=email).role


def test_groups_give_roles_at_every_sign_in_and_take_back_what_they_gave(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization", settings: Any
):
    settings.OIDC_GROUP_ROLES = {"ops": "admin", "everyone": "member"}

    idp.claims = {"groups": ["everyone"]}
    sign_in()
    assert role_of() == "member"
    idp.claims = {"groups": ["everyone", "ops"]}
    sign_in()
    assert role_of() == "admin"
    idp.claims = {"groups": []}
    sign_in()
    assert role_of() == "member"
    assert len(events("membership.updated")) == 2
    assert {event.actor_label for event in events("membership.updated")} == {"(single sign-on)"}


def test_a_role_that_a_person_gave_is_not_taken_by_a_group(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization", settings: Any
):
    from apps.orgs.actions import member_update
    from apps.orgs.models import Membership

    settings.OIDC_GROUP_ROLES = {"ops": "admin"}
    sign_in()
    member_update(membership=Membership.objects.get(), role="admin", actor=ACTOR)

    sign_in()

    assert role_of() == "admin"


def test_a_provider_that_says_nothing_about_groups_changes_no_role(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization", settings: Any
):
    settings.OIDC_GROUP_ROLES = {"ops": "admin"}
    idp.claims = {"groups": ["ops"]}
    sign_in()
    idp.claims = {"groups": None}

    sign_in()

    assert role_of() == "admin"


def test_groups_never_leave_an_organization_without_an_owner(
    sign_in: SignIn, idp: IdentityProvider, browser: Client, acme: "Organization", settings: Any
):
    from apps.orgs.actions import member_update
    from apps.orgs.models import Membership

    sign_in()
    member_update(membership=Membership.objects.get(), role="owner", actor=ACTOR)
    settings.OIDC_GROUP_ROLES = {"everyone": "member"}
    idp.claims = {"groups": ["everyone"]}

    assert sign_in()["Location"] == "/admin/"
    assert role_of() == "owner"


def test_a_role_may_name_its_organization(sign_in: SignIn, idp: IdentityProvider, acme: "Organization", settings: Any):
    from apps.orgs.actions import organization_create
    from apps.orgs.models import Membership

    organization_create(name="Zeta", slug="zeta", actor=ACTOR)
    settings.OIDC_GROUP_ROLES = {"ops": "zeta/admin"}
    settings.OIDC_ORGANIZATION = "acme"
    idp.claims = {"groups": "ops"}

    sign_in()

    found = dict(Membership.objects.values_list("organization__slug", "role"))
    assert found == {"acme": "member", "zeta": "admin"}


def test_the_claim_with_the_groups_may_have_another_name(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization", settings: Any
):
    settings.OIDC_GROUPS_CLAIM = "https://acme.test/roles"
    settings.OIDC_GROUP_ROLES = {"ops": "admin"}
    idp.claims = {"https://acme.test/roles": ["ops"]}

    sign_in()

    assert role_of() == "admin"


def test_nobody_becomes_platform_staff_by_a_group(
    sign_in: SignIn, idp: IdentityProvider, acme: "Organization", settings: Any
):
    from apps.orgs.models import User

    settings.OIDC_GROUP_ROLES = {"bosses": "owner"}
    idp.claims = {"groups": ["bosses"]}

    sign_in()

    assert role_of() == "owner"
    assert not User.objects.get().is_superuser
