"""The page of one's organizations: what is listed, switching, starting another."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.orgs.actions import member_add, organization_suspend, user_create
from apps.orgs.models import Membership, Organization, Role, User
from apps.services.actions import service_create
from tests.control.conftest import ACTOR

COMMAND = ACTOR.system("command")


@pytest.fixture
def ana(acme: Organization, settings: Any) -> User:
    settings.TENANCY = "multi"
    user = user_create(email="ana@acme.test", password=None, actor=ACTOR, name="Ana")
    member_add(organization=acme, user=user, role=Role.ADMIN, actor=COMMAND)
    return user


@pytest.fixture
def browser(ana: User, settings: Any) -> Client:
    settings.RATELIMIT_CACHE_PREFIX = f"{uuid4().hex}:"
    client = Client()
    client.force_login(ana)
    return client


def join(user: User, organization: Organization) -> None:
    member_add(organization=organization, user=user, role=Role.OWNER, actor=COMMAND)


def test_nobody_sees_it_without_signing_in(db: None) -> None:
    for verb, path in (
        ("get", "/organizations/"),
        ("post", "/organizations/start/"),
        ("post", f"/organizations/{uuid4()}/switch/"),
    ):
        response = getattr(Client(), verb)(path)
        assert response.status_code == 302
        assert "login" in response.headers["Location"] or "sign-in" in response.headers["Location"]


def test_it_lists_ones_own_organizations_and_roles_alone(
    browser: Client, ana: User, acme: Organization, zeta: Organization
) -> None:
    page = browser.get("/organizations/").content.decode()

    assert "Acme" in page
    assert "admin" in page
    assert "Zeta" not in page
    assert "Current" in page


def test_switching_changes_what_one_sees(browser: Client, ana: User, acme: Organization, zeta: Organization) -> None:
    join(ana, zeta)
    service_create(organization=acme, name="of-acme", actor=ACTOR)
    service_create(organization=zeta, name="of-zeta", actor=ACTOR)
    assert "of-acme" in browser.get("/admin/services/service/").content.decode()

    response = browser.post(f"/organizations/{zeta.pk}/switch/")

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
    page = browser.get("/admin/services/service/").content.decode()
    assert "of-zeta" in page
    assert "of-acme" not in page


def test_anothers_organization_is_not_found_whether_it_is_there_or_not(browser: Client, zeta: Organization) -> None:
    there = browser.post(f"/organizations/{zeta.pk}/switch/")
    not_there = browser.post(f"/organizations/{uuid4()}/switch/")

    assert there.status_code == not_there.status_code == 404
    assert there.content == not_there.content
    assert browser.get(f"/organizations/{zeta.pk}/switch/").status_code == 405


def test_one_starts_an_organization_owns_it_and_works_in_it(browser: Client, ana: User) -> None:
    response = browser.post("/organizations/start/", {"name": "Ana & Co.", "slug": ""})

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
    made = Organization.objects.get(slug="ana-co")
    assert Membership.objects.get(organization=made).user == ana
    assert not made.hosted_credentials
    page = browser.get("/organizations/").content.decode()
    assert page.index("Ana &amp; Co.") < page.index("Current") or "Current" in page.split("Ana &amp; Co.")[1]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"name": "", "slug": ""}, "This field is required."),
        ({"name": "Mine", "slug": "acme"}, "already exists"),
        ({"name": "日本", "slug": ""}, "No short name can be made"),
    ],
)
def test_what_cannot_be_started_is_told_at_its_field(browser: Client, sent: dict[str, str], told: str) -> None:
    response = browser.post("/organizations/start/", sent)

    assert response.status_code == 422
    assert told in response.content.decode()
    assert Organization.objects.count() == 1


def test_in_single_there_is_no_such_form(browser: Client, settings: Any) -> None:
    settings.TENANCY = "single"

    assert "Start an organization" not in browser.get("/organizations/").content.decode()
    assert browser.post("/organizations/start/", {"name": "More"}).status_code == 403
    assert Organization.objects.count() == 1


def test_starting_is_limited(browser: Client) -> None:
    codes = [browser.post("/organizations/start/", {"name": f"No {n}"}).status_code for n in range(11)]

    assert codes == [302] * 10 + [429]


def test_a_post_without_its_token_is_refused(ana: User, zeta: Organization) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)

    assert client.post("/organizations/start/", {"name": "Forged"}).status_code == 403
    assert not Organization.objects.filter(name="Forged").exists()


def test_who_belongs_nowhere_is_told_what_to_do(db: None, settings: Any) -> None:
    settings.TENANCY = "tests.tenancy.plans.Plans"
    user = user_create(email="lone@acme.test", password=None, actor=ACTOR)
    client = Client()
    client.force_login(user)

    page = client.get("/organizations/").content.decode()

    assert "ask somebody there to invite you" in page
    assert "Start an organization" not in page


def test_a_suspended_organization_says_so(browser: Client, acme: Organization) -> None:
    organization_suspend(organization=acme, actor=COMMAND)

    assert "suspended" in browser.get("/organizations/").content.decode()
