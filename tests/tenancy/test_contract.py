"""What every implementation of the tenancy port keeps: ours, and an overlay's."""

from typing import Any

import pytest
from django.http import Http404

from apps.orgs.access import Access
from apps.orgs.models import Organization, Role
from apps.orgs.roles import permissions_of
from apps.orgs.tenancy.chosen import tenancy
from apps.orgs.tenancy.port import Tenancy
from apps.providers.actions import model_add
from apps.providers.models import ProviderModel
from apps.services.actions import service_create
from apps.services.models import Service
from tests.control.conftest import ACTOR
from tests.support.tenancies import IMPLEMENTATIONS


@pytest.fixture(params=IMPLEMENTATIONS)
def port(request: pytest.FixtureRequest, settings: Any) -> Tenancy:
    settings.TENANCY = request.param
    return tenancy()


def member(organization: Organization, role: Role) -> Access:
    return Access("ana@acme.test", None, organization, role, permissions_of(role, organization))


NOBODY = Access("nobody", None, None, None, frozenset())
STAFF = Access("staff", None, None, None, frozenset(), is_platform_staff=True)


@pytest.fixture
def rows(acme: Organization, zeta: Organization) -> None:
    for organization in (acme, zeta):
        service_create(organization=organization, name="chat", actor=ACTOR)
    for organization in (acme, zeta, None):
        model_add(organization=organization, provider="openai", name="own-model", actor=ACTOR)


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_its_own_rows_alone(
    port: Tenancy, rows: None, acme: Organization, zeta: Organization, role: Role
) -> None:
    for organization in (acme, zeta):
        seen = port.scope(Service.objects.all(), member(organization, role))
        assert [row.organization for row in seen] == [organization]


def test_what_is_hosted_is_seen_where_it_is_asked_for(port: Tenancy, rows: None, acme: Organization) -> None:
    models = ProviderModel.objects.filter(name="own-model")

    assert [row.organization for row in port.scope(models, member(acme, Role.MEMBER))] == [acme]
    assert {row.organization for row in port.scope(models, member(acme, Role.MEMBER), hosted=True)} == {acme, None}


def test_rows_are_scoped_by_the_way_that_leads_to_whose_they_are(
    port: Tenancy, rows: None, acme: Organization, zeta: Organization
) -> None:
    seen = port.scope(Organization.objects.all(), member(acme, Role.OWNER), organization="pk")

    assert list(seen) == [acme]


def test_who_belongs_nowhere_sees_nothing(port: Tenancy, rows: None) -> None:
    assert not port.scope(Service.objects.all(), NOBODY).exists()
    assert not port.scope(ProviderModel.objects.all(), NOBODY, hosted=True).exists()


def test_platform_staff_see_everything(port: Tenancy, rows: None) -> None:
    assert port.scope(Service.objects.all(), STAFF).count() == 2


def test_another_organization_is_not_found(port: Tenancy, acme: Organization, zeta: Organization) -> None:
    for role in Role:
        port.check_access(member(acme, role), acme)
        with pytest.raises(Http404):
            port.check_access(member(acme, role), zeta)
    with pytest.raises(Http404):
        port.check_access(NOBODY, acme)
    port.check_access(STAFF, zeta)


def test_what_is_new_belongs_to_who_makes_it(port: Tenancy, acme: Organization) -> None:
    assert port.organization_for_creation(member(acme, Role.OWNER)) == acme
    assert port.organization_for_creation(NOBODY) is None
    assert port.organization_for_creation(STAFF) == acme  # the only one


def test_of_several_organizations_staff_say_which(port: Tenancy, acme: Organization, zeta: Organization) -> None:
    assert port.organization_for_creation(member(acme, Role.OWNER)) == acme
    assert port.organization_for_creation(STAFF) is None


def test_entitlements_are_those_of_the_row(port: Tenancy, acme: Organization) -> None:
    assert port.entitlements(acme).hosted_credentials
    acme.hosted_credentials = False
    assert not port.entitlements(acme).hosted_credentials


def test_the_installation_itself_entitles_whom_it_creates(port: Tenancy) -> None:
    assert port.entitlements_at_first(None).hosted_credentials
