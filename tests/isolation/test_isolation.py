"""Nobody sees or writes a row of another organization, whatever the code in between forgets."""

from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection, connections, models, transaction
from django.db.utils import ProgrammingError

from apps.core.tenancy import (
    DOOR,
    INSTALLATION,
    NOBODY,
    STAFF,
    Scope,
    as_installation,
    current_scope,
    member_scope,
    scoped,
)
from tests.isolation.conftest import Two


def tenant_models() -> list[type[models.Model]]:
    """Every model whose rows carry an organization, whoever declares it."""
    found = [model for model in apps.get_models() if any(f.name == "organization" for f in model._meta.get_fields())]
    assert len(found) >= 18
    return found


def seen(model: type[models.Model]) -> set[UUID | None]:
    """Whose rows a query without any filter brings, of the table itself."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT organization_id FROM {model._meta.db_table}")
        return {row[0] for row in cursor.fetchall()}


def shared(model: type[models.Model]) -> bool:
    return model._meta.label in {
        "providers.Credential",
        "providers.ProviderModel",
        "providers.ProviderListing",
        "providers.Price",
        "providers.Alias",
        "providers.AliasTarget",
        "policies.Policy",
        "policies.Attachment",
    }


def test_no_table_with_an_organization_is_without_its_policy(db: None) -> None:
    call_command("check", database=["default"], fail_level="ERROR")
    with connection.cursor() as cursor:
        for model in tenant_models():
            cursor.execute(
                "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass",
                [model._meta.db_table],
            )
            assert cursor.fetchone() == (True, True), model._meta.label


@pytest.mark.parametrize(
    "undo",
    [
        "ALTER TABLE services_service DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE services_service NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY services_service_member ON services_service",
        "CREATE TABLE overlay_thing (organization_id uuid); GRANT SELECT ON overlay_thing TO tollgate_staff",
    ],
)
def test_a_table_without_its_policy_fails_the_system_check(db: None, undo: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(undo)
    with pytest.raises(SystemCheckError, match=r"orgs\.E001"):
        call_command("check", database=["default"], fail_level="ERROR")


def test_with_no_organization_set_no_tenants_row_is_seen(two: Two) -> None:
    with scoped(NOBODY):
        for model in tenant_models():
            assert seen(model) <= ({None} if shared(model) else set()), model._meta.label


def test_an_organizations_people_see_its_rows_and_what_is_offered_to_all(two: Two) -> None:
    some = 0
    for mine, me in ((two.acme, two.ana), (two.zeta, two.zoe)):
        with scoped(member_scope(mine.pk, me.pk)):
            for model in tenant_models():
                found = seen(model)
                assert found <= ({mine.pk, None} if shared(model) else {mine.pk}), model._meta.label
                some += mine.pk in found
    assert some >= 14  # otherwise this shows nothing


def test_staff_and_the_installation_see_every_organization(two: Two) -> None:
    from apps.services.models import Service

    for scope in (STAFF, INSTALLATION):
        with scoped(scope):
            assert seen(Service) == {two.acme.pk, two.zeta.pk}


def test_a_query_that_forgets_its_filter_brings_one_organizations_rows(two: Two) -> None:
    from apps.services.models import Service, Token

    with scoped(member_scope(two.acme.pk, two.ana.pk)):
        assert [service.name for service in Service.objects.all()] == ["Chat of acme"]
        assert {token.organization_id for token in Token.objects.all()} == {two.acme.pk}
        assert not Service.objects.filter(organization=two.zeta).exists()


def test_no_row_is_written_into_changed_in_or_moved_to_another_organization(two: Two) -> None:
    from apps.services.models import Service

    foreign = Service.objects.get(organization=two.zeta)
    with scoped(member_scope(two.acme.pk, two.ana.pk)):
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            Service.objects.create(organization=two.zeta, name="Smuggled")
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            Service.objects.update(organization=two.zeta)
        assert Service.objects.filter(pk=foreign.pk).update(name="Taken") == 0
        assert Service.objects.filter(pk=foreign.pk).delete()[0] == 0
        assert Service.objects.filter(organization=two.acme).update(name="Renamed") == 1
    foreign.refresh_from_db()
    assert foreign.name == "Chat of zeta"


def test_what_the_installation_offers_is_read_by_all_and_written_by_none_of_them(two: Two) -> None:
    from apps.providers.models import Credential

    with scoped(member_scope(two.acme.pk, two.ana.pk)):
        assert {each.label for each in Credential.objects.all()} == {"own", "hosted"}
        assert Credential.objects.filter(label="hosted").update(label="mine") == 0
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            Credential.objects.filter(label="own").update(organization=None)


def test_people_see_their_fellows_and_change_themselves_alone(two: Two) -> None:
    from apps.orgs.models import Organization, User

    with scoped(member_scope(two.acme.pk, two.ana.pk)):
        assert [user.email for user in User.objects.all()] == ["owner@acme.test"]
        assert [each.slug for each in Organization.objects.all()] == ["acme"]
        assert User.objects.update(name="Ana") == 1
    with scoped(member_scope(two.acme.pk, None)):  # a key of the organization's
        assert [user.email for user in User.objects.all()] == ["owner@acme.test"]
        assert User.objects.update(name="Key") == 0
    with scoped(NOBODY):
        assert not User.objects.exists()


def test_at_the_door_people_are_seen_and_nothing_else(two: Two) -> None:
    from apps.orgs.models import Membership, User
    from apps.services.models import Service

    with scoped(DOOR):
        assert User.objects.count() == Membership.objects.count() == 2
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            list(Service.objects.all())


def test_records_and_admin_events_are_written_by_nobody_afterwards(two: Two) -> None:
    from apps.audit.models import AdminEvent, RequestRecord

    for scope in (member_scope(two.acme.pk, two.ana.pk), STAFF):
        with scoped(scope):
            for model in (AdminEvent, RequestRecord):
                with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                    model.objects.update(organization=None)
                with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                    model.objects.all().delete()


def test_a_scope_ends_with_its_block_whatever_ends_it(two: Two) -> None:
    from apps.services.models import Service

    acme, zeta = member_scope(two.acme.pk, two.ana.pk), member_scope(two.zeta.pk, two.zoe.pk)
    with scoped(acme):
        with scoped(zeta):
            assert Service.objects.get().organization_id == two.zeta.pk
        assert Service.objects.get().organization_id == two.acme.pk
        with pytest.raises(LookupError), scoped(zeta):
            raise LookupError
        assert Service.objects.get().organization_id == two.acme.pk
        with pytest.raises(DatabaseError), transaction.atomic(), scoped(zeta), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert Service.objects.get().organization_id == two.acme.pk
        with as_installation():
            assert Service.objects.count() == 2
        assert Service.objects.count() == 1
    assert current_scope() is INSTALLATION
    assert Service.objects.count() == 2


@pytest.fixture
def committed(transactional_db: None) -> tuple[UUID, UUID]:
    from apps.orgs.actions import organization_create
    from apps.services.actions import service_create
    from tests.isolation.conftest import ACTOR

    ids = []
    for slug in ("acme", "zeta"):
        organization = organization_create(name=slug.title(), slug=slug, actor=ACTOR)
        service_create(organization=organization, name=f"Chat of {slug}", actor=ACTOR)
        ids.append(organization.pk)
    return ids[0], ids[1]


def names() -> list[str]:
    from apps.services.models import Service

    return sorted(Service.objects.values_list("name", flat=True))


def session_role() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('role')")
        return str(cursor.fetchone()[0])


def test_a_scope_reaches_every_transaction_and_no_further(committed: tuple[UUID, UUID]) -> None:
    acme, zeta = (member_scope(each, None) for each in committed)
    with scoped(acme):
        assert names() == ["Chat of acme"]  # in a transaction of its own
        with transaction.atomic():
            assert names() == ["Chat of acme"]
            with transaction.atomic():
                assert names() == ["Chat of acme"]
        from apps.services.models import Service

        assert [each.name for each in Service.objects.iterator(chunk_size=1)] == ["Chat of acme"]
    assert session_role() == "none"
    assert names() == ["Chat of acme", "Chat of zeta"]
    with scoped(zeta):
        assert names() == ["Chat of zeta"]


async def test_a_scope_reaches_asynchronous_code(committed: tuple[UUID, UUID]) -> None:
    from apps.services.models import Service

    def asked(scope: Scope) -> list[str]:
        with scoped(scope):
            return names()

    with scoped(member_scope(committed[1], None)):
        assert [each.name async for each in Service.objects.all()] == ["Chat of zeta"]
        assert await sync_to_async(names)() == ["Chat of zeta"]
    assert await sync_to_async(asked)(member_scope(committed[0], None)) == ["Chat of acme"]
    await sync_to_async(connections.close_all)()  # the thread's own, without which the database could not be dropped
