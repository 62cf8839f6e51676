"""What ends when somebody goes, by whichever door: all that lets them in, at once, in every process, and for good."""

from collections.abc import Callable

import httpx
import pytest
from django.conf import settings as django_settings
from django.test import Client

from apps.core.actor import Actor
from apps.orgs.actions import member_add, member_remove, user_create, user_update
from apps.orgs.keys.actions import key_issue
from apps.orgs.keys.models import ManagementKey
from apps.orgs.models import Membership, Organization, Role, User
from tests.control.recorded import events
from tests.invitations.conftest import COMMAND, Person, as_actor
from tests.scim.conftest import Directory
from tests.support.gateway import GatewayProcess

PAGE = "/admin/services/service/"
SWITCHED_OFF = {"op": "replace", "path": "active", "value": False}
SWITCHED_ON = {"op": "replace", "path": "active", "value": True}


class Leaving:
    """Somebody with a browser and a management key, both of which work."""

    def __init__(self, organization: Organization, user: User) -> None:
        self.organization, self.user = organization, user
        self.browser = Client()
        self.browser.force_login(user)
        self.key, self.plaintext = issued(organization, user)
        assert self.sees() == (200, 200, 200)

    def sees(self) -> tuple[int, int, int]:
        """How the console, the API in the browser, and the API with the key answer."""
        return (
            self.browser.get(PAGE).status_code,
            self.browser.get("/api/services").status_code,
            Client().get("/api/services", headers=bearer(self.plaintext)).status_code,
        )

    @property
    def membership(self) -> Membership:
        return Membership.objects.get(user=self.user, organization=self.organization)


def issued(organization: Organization, user: User) -> tuple[ManagementKey, str]:
    permissions = ["services.read"]
    return key_issue(
        organization=organization, name="ci", permissions=permissions, most=permissions, actor=as_actor(user)
    )


def bearer(plaintext: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {plaintext}"}


@pytest.fixture
def leaving(acme: Organization, directory: Directory) -> Leaving:
    made = directory.create("ana@acme.test").json()["id"]
    return Leaving(acme, User.objects.get(pk=made))


@pytest.fixture
def owner_browser(acme: Organization, person: Person) -> Client:
    client = Client()
    client.force_login(person(acme, "owner"))
    return client


@pytest.fixture
def staff_browser(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@installation.test", "x"))
    return client


type Door = Callable[[pytest.FixtureRequest, Leaving], None]


def by_scim(request: pytest.FixtureRequest, leaving: Leaving) -> None:
    directory = request.getfixturevalue("directory")
    assert directory.patch(f"/Users/{leaving.user.pk}", SWITCHED_OFF).status_code == 200


def by_scims_delete(request: pytest.FixtureRequest, leaving: Leaving) -> None:
    assert request.getfixturevalue("directory")("DELETE", f"/Users/{leaving.user.pk}").status_code == 204


def off_in_the_console(request: pytest.FixtureRequest, leaving: Leaving) -> None:
    answer = request.getfixturevalue("staff_browser").post(
        f"/admin/orgs/user/{leaving.user.pk}/change/", {"email": leaving.user.email, "name": leaving.user.name}
    )
    assert answer.status_code == 302, answer.content


def removed_in_the_console(request: pytest.FixtureRequest, leaving: Leaving) -> None:
    path = f"/admin/orgs/membership/{leaving.membership.pk}/remove/"
    assert request.getfixturevalue("owner_browser").post(path, {"confirm": "1"}).status_code == 302


def removed_over_the_api(request: pytest.FixtureRequest, leaving: Leaving) -> None:
    path = f"/api/members/{leaving.membership.pk}"
    assert request.getfixturevalue("owner_browser").delete(path).status_code == 204


def removed_by_a_file(request: pytest.FixtureRequest, leaving: Leaving) -> None:
    request.getfixturevalue("owner_browser")  # so that an owner is left
    members = "members: [{email: owner@acme.test, role: owner}]"
    file = f"version: 1\norganizations: [{{slug: acme, name: Acme, {members}}}]\n"
    ran = request.getfixturevalue("run")("apply_config", "-", "--prune", stdin=file)
    assert ran.code == 0, ran.err


def removed_by_a_rule_of_sign_in(request: pytest.FixtureRequest, leaving: Leaving) -> None:
    member_remove(membership=leaving.membership, actor=Actor.system())


SWITCHING_OFF: list[Door] = [by_scim, by_scims_delete, off_in_the_console]
REMOVING: list[Door] = [removed_in_the_console, removed_over_the_api, removed_by_a_file, removed_by_a_rule_of_sign_in]


@pytest.mark.parametrize("door", SWITCHING_OFF)
def test_who_is_switched_off_is_out_at_once_and_comes_back_without_sessions_and_keys(
    door: Door, leaving: Leaving, request: pytest.FixtureRequest
) -> None:
    door(request, leaving)

    assert leaving.sees() == (302, 401, 401)
    leaving.key.refresh_from_db()
    assert leaving.key.revoked_at is not None
    [revoked] = events("management_key.revoked")
    assert (revoked.target_id, revoked.organization_id) == (leaving.key.pk, leaving.organization.pk)
    [ended] = events("session.ended")
    assert ended.target_id == leaving.user.pk

    user_update(user=leaving.user, is_active=True, actor=COMMAND)
    if not Membership.objects.filter(user=leaving.user).exists():
        member_add(organization=leaving.organization, user=leaving.user, role=Role.MEMBER, actor=COMMAND)
    assert leaving.sees() == (302, 401, 401)


@pytest.mark.parametrize("door", REMOVING)
def test_who_is_removed_sees_nothing_more_at_once_and_comes_back_without_keys(
    door: Door, leaving: Leaving, request: pytest.FixtureRequest
) -> None:
    door(request, leaving)

    assert leaving.sees() == (403, 403, 401)
    leaving.key.refresh_from_db()
    assert leaving.key.revoked_at is not None
    [revoked] = events("management_key.revoked")
    assert revoked.organization_id == leaving.organization.pk

    member_add(organization=leaving.organization, user=leaving.user, role=Role.MEMBER, actor=COMMAND)
    assert leaving.sees() == (200, 200, 401)


def test_what_somebody_issued_elsewhere_and_others_issued_here_goes_on(
    acme: Organization, zeta: Organization, directory: Directory, person: Person, leaving: Leaving
) -> None:
    member_add(organization=zeta, user=leaving.user, role=Role.MEMBER, actor=COMMAND)
    elsewhere, _plaintext = issued(zeta, leaving.user)
    others, _plaintext = issued(acme, person(acme, "admin"))

    by_directory = directory.patch(f"/Users/{leaving.user.pk}", SWITCHED_OFF)

    assert by_directory.status_code == 200
    assert set(ManagementKey.objects.filter(revoked_at=None)) == {elsewhere, others}


def test_the_directory_switching_on_again_brings_no_key_back(leaving: Leaving, directory: Directory) -> None:
    for change in (SWITCHED_OFF, SWITCHED_ON):
        directory.patch(f"/Users/{leaving.user.pk}", change)

    assert leaving.sees() == (302, 401, 401)
    again = Client()
    again.force_login(User.objects.get(pk=leaving.user.pk))
    assert again.get(PAGE).status_code == 200


def test_what_the_directory_says_counts_whatever_was_done_by_hand(
    acme: Organization, directory: Directory, leaving: Leaving
) -> None:
    path = f"/Users/{leaving.user.pk}"
    member_remove(membership=leaving.membership, actor=COMMAND)
    assert directory("GET", path).json()["active"] is False
    assert directory.patch(path, SWITCHED_ON).json()["active"] is True

    directory.patch(path, SWITCHED_OFF)
    user_update(user=leaving.user, is_active=True, actor=COMMAND)
    member_add(organization=acme, user=leaving.user, role=Role.ADMIN, actor=COMMAND)
    assert directory.patch(path, SWITCHED_OFF).json()["active"] is False
    assert not Membership.objects.filter(user=leaving.user).exists()

    user_update(user=leaving.user, is_active=True, actor=COMMAND)
    member_add(organization=acme, user=leaving.user, role=Role.ADMIN, actor=COMMAND)
    assert directory("DELETE", path).status_code == 204
    assert not Membership.objects.filter(user=leaving.user).exists()


def test_whom_operators_switched_off_the_directory_does_not_switch_on(leaving: Leaving, directory: Directory) -> None:
    user_update(user=leaving.user, is_active=False, actor=COMMAND)

    body = {"userName": leaving.user.email, "active": True}
    assert directory("PUT", f"/Users/{leaving.user.pk}", body).json()["active"] is False
    leaving.user.refresh_from_db()
    assert not leaving.user.is_active


def test_sessions_are_looked_up_where_every_process_looks() -> None:
    assert django_settings.SESSION_ENGINE == "django.contrib.sessions.backends.db"


@pytest.mark.django_db(transaction=True)
def test_another_process_knows_with_the_next_request() -> None:
    """No process keeps who may come in: what the directory told this one, the other goes by at once."""
    from apps.orgs.actions import organization_create

    organization = organization_create(name="Acme", slug="acme", actor=COMMAND)
    user = user_create(email="ana@acme.test", password=None, actor=COMMAND)
    member_add(organization=organization, user=user, role=Role.MEMBER, actor=COMMAND)
    directory, leaving = Directory(organization), Leaving(organization, user)
    cookies = {name: cookie.value for name, cookie in leaving.browser.cookies.items()}
    with GatewayProcess() as other, httpx.Client(cookies=cookies, timeout=30) as browser:

        def sees() -> tuple[int, int, int]:
            return (
                browser.get(other.url + PAGE).status_code,
                browser.get(f"{other.url}/api/services").status_code,
                httpx.get(f"{other.url}/api/services", headers=bearer(leaving.plaintext), timeout=30).status_code,
            )

        assert sees() == (200, 200, 200)

        assert directory.patch(f"/Users/{user.pk}", SWITCHED_OFF).status_code == 200

        assert sees() == leaving.sees() == (302, 401, 401)
