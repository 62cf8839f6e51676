"""What the two implementations differ in, what an overlay may change, and what happens to organizations."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError

from apps.core.actor import Actor
from apps.orgs.actions import (
    member_add,
    member_remove,
    organization_create,
    organization_entitle,
    organization_resume,
    organization_suspend,
    owner_create,
    user_create,
)
from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.tenancy import signals
from apps.orgs.tenancy.actions import organization_start
from apps.orgs.tenancy.chosen import tenancy
from apps.services.actions import service_create, service_disable
from tests.control.conftest import ACTOR, PASSWORD


def by(user: User) -> Actor:
    return Actor(door="admin", label=user.email, user_id=user.pk)


def test_single_is_what_holds_where_nothing_is_said() -> None:
    assert type(tenancy()).__name__ == "Single"


def test_in_single_the_owner_runs_the_installation(acme: Organization) -> None:
    owner = owner_create(organization=acme, email="ana@acme.test", password=PASSWORD, actor=ACTOR)

    assert owner.is_superuser


def test_in_multi_the_owner_owns_and_no_more(acme: Organization, settings: Any) -> None:
    settings.TENANCY = "multi"

    owner = owner_create(organization=acme, email="ana@acme.test", password=PASSWORD, actor=ACTOR)

    assert not owner.is_superuser
    assert Membership.objects.get(user=owner).role == Role.OWNER


def test_in_single_nobody_starts_a_second_organization(owner: User) -> None:
    with pytest.raises(ValidationError, match="TENANCY=multi"):
        organization_start(user=owner, name="More", slug="more", actor=by(owner))

    assert Organization.objects.count() == 1
    organization_create(name="By command", slug="more", actor=Actor.system("command"))


def test_in_multi_people_start_organizations_of_their_own_without_the_installations_credentials(
    acme: Organization, settings: Any
) -> None:
    settings.TENANCY = "multi"
    ana = user_create(email="ana@acme.test", password=None, actor=ACTOR)

    made = organization_start(user=ana, name="Mine", slug="mine", actor=by(ana))

    assert Membership.objects.get(organization=made).user == ana
    assert not made.hosted_credentials
    staff = user_create(email="root@tollgate.test", password=None, actor=ACTOR, is_platform_staff=True)
    assert organization_start(user=staff, name="Ours", slug="ours", actor=by(staff)).hosted_credentials


def test_what_a_taken_name_refuses_leaves_nothing(acme: Organization, settings: Any) -> None:
    settings.TENANCY = "multi"
    ana = user_create(email="ana@acme.test", password=None, actor=ACTOR)

    with pytest.raises(ValidationError):
        organization_start(user=ana, name="Again", slug="acme", actor=by(ana))

    assert not Membership.objects.filter(user=ana).exists()


def test_an_organization_does_not_entitle_itself(acme: Organization, settings: Any) -> None:
    settings.TENANCY = "multi"
    owner = owner_create(organization=acme, email="ana@acme.test", password=PASSWORD, actor=ACTOR)
    organization_entitle(organization=acme, hosted_credentials=False, actor=ACTOR_OF_COMMANDS)

    with pytest.raises(ValidationError, match="run the installation"):
        organization_entitle(organization=acme, hosted_credentials=True, actor=by(owner))
    with pytest.raises(ValidationError, match="run the installation"):
        organization_entitle(organization=acme, hosted_credentials=True, actor=Actor("api", "key ci"))

    acme.refresh_from_db()
    assert not acme.hosted_credentials


ACTOR_OF_COMMANDS = Actor.system("command")


# --- Overlays ---


def test_an_overlays_class_is_chosen_by_its_path(settings: Any) -> None:
    settings.TENANCY = "tests.tenancy.plans.Plans"

    assert type(tenancy()).__name__ == "Plans"


@pytest.mark.parametrize("name", ["several", "tests.tenancy.plans.Missing", "nowhere.Tenancy"])
def test_a_tenancy_that_is_not_there_stops_the_start(settings: Any, name: str) -> None:
    settings.TENANCY = name

    with pytest.raises(ImproperlyConfigured, match="TENANCY"):
        tenancy()


def test_a_class_that_is_no_tenancy_is_refused(settings: Any) -> None:
    settings.TENANCY = "tests.tenancy.plans.NoTenancy"

    with pytest.raises(ImproperlyConfigured, match="no subclass"):
        tenancy()


def test_an_overlay_bounds_services_and_people(acme: Organization, settings: Any) -> None:
    settings.TENANCY = "tests.tenancy.plans.Plans"
    first = service_create(organization=acme, name="a", actor=ACTOR)
    service_create(organization=acme, name="b", actor=ACTOR)

    with pytest.raises(ValidationError, match="may have 2 services"):
        service_create(organization=acme, name="c", actor=ACTOR)
    service_disable(service=first, actor=ACTOR)
    service_create(organization=acme, name="c", actor=ACTOR)

    for number in range(2):
        user = user_create(email=f"{number}@acme.test", password=None, actor=ACTOR)
        member_add(organization=acme, user=user, role=Role.MEMBER, actor=ACTOR_OF_COMMANDS)
    third = user_create(email="third@acme.test", password=None, actor=ACTOR)
    with pytest.raises(ValidationError, match="may have 2 members"):
        member_add(organization=acme, user=third, role=Role.MEMBER, actor=ACTOR_OF_COMMANDS)


# --- What happens ---


@pytest.fixture
def heard() -> Any:
    """What was sent, in order."""
    found: list[tuple[str, str]] = []
    receivers = []
    for name in (
        "organization_created",
        "organization_suspended",
        "organization_resumed",
        "member_joined",
        "member_left",
    ):

        def hear(sender: Any, *, actor: Actor, name: str = name, **what: Any) -> None:
            found.append((name, actor.door))

        getattr(signals, name).connect(hear)
        receivers.append((name, hear))
    yield found
    for name, hear in receivers:
        getattr(signals, name).disconnect(hear)


def test_what_happens_to_organizations_and_people_is_told(db: None, heard: list[tuple[str, str]]) -> None:
    actor = ACTOR_OF_COMMANDS
    made = organization_create(name="Acme", slug="acme", actor=actor)
    owner_create(organization=made, email="ana@acme.test", password=None, actor=actor)
    ben = user_create(email="ben@acme.test", password=None, actor=actor)
    member_remove(membership=member_add(organization=made, user=ben, role=Role.MEMBER, actor=actor), actor=actor)
    organization_suspend(organization=made, actor=actor)
    organization_suspend(organization=made, actor=actor)  # is so already: nothing happens
    organization_resume(organization=made, actor=actor)

    assert [name for name, _door in heard] == [
        "organization_created",
        "member_joined",
        "member_joined",
        "member_left",
        "organization_suspended",
        "organization_resumed",
    ]
    assert {door for _name, door in heard} == {"command"}


def test_what_a_receiver_refuses_does_not_happen(db: None) -> None:
    def refuse(sender: Any, **_what: Any) -> None:
        raise ValidationError("not now")

    signals.organization_created.connect(refuse)
    try:
        with pytest.raises(ValidationError, match="not now"):
            organization_create(name="Acme", slug="acme", actor=ACTOR)
    finally:
        signals.organization_created.disconnect(refuse)

    assert not Organization.objects.exists()
