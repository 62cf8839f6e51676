"""What each of the database's roles may do at all: read from PostgreSQL's own catalogue, whatever migrations meant to say."""

import pytest
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from apps.core.actor import Actor
from apps.core.tenancy import DOOR, DOOR_ROLE, MEMBER_ROLE, ROLES, STAFF_ROLE, scoped
from tests.isolation.conftest import Two

# Tables that members reach and that are nobody's in particular: sessions are found by a key that nobody else knows, the rest is
# the framework's and holds no tenant's row.
NOBODYS = {
    "account_emailconfirmation",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
    "django_session",
    "orgs_user_groups",
    "orgs_user_user_permissions",
}


def ask(sql: str, *values: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def reached(role: str, *, kinds: str = "rp") -> set[str]:
    """The relations of these kinds that a role has any right on."""
    found = ask(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace"
        " AND c.relkind::text = ANY(%s) AND has_any_column_privilege(%s, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')"
        " OR c.relnamespace = current_schema()::regnamespace AND c.relkind::text = ANY(%s)"
        " AND has_table_privilege(%s, c.oid, 'DELETE, TRUNCATE, TRIGGER')",
        list(kinds),
        role,
        list(kinds),
        role,
    )
    return {str(name) for (name,) in found}


def test_members_reach_no_table_without_forced_policies(db: None) -> None:
    tables = reached(MEMBER_ROLE)
    assert len(tables) > 30
    forced = ask("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    assert tables - {str(name) for (name,) in forced} == NOBODYS


def test_every_policy_for_members_asks_whose_the_row_is(db: None) -> None:
    policies = ask(
        "SELECT tablename, policyname, cmd, permissive, COALESCE(qual, ''), COALESCE(with_check, '') FROM pg_policies"
        " WHERE schemaname = current_schema() AND (%s = ANY(roles) OR 'public' = ANY(roles))",
        MEMBER_ROLE,
    )
    assert len(policies) > 30
    for table, name, verb, permissive, sees, writes in policies:
        at = f"{table}: {name}"
        assert permissive == "PERMISSIVE", at
        asks = [text for text in (str(sees), str(writes)) if text]
        if all("core_organization()" in text or "core_person()" in text for text in asks):
            continue
        # What is offered to all is read; a person's own events are written; fellows are found by memberships, which have a policy.
        known = (verb, str(sees), str(writes))
        assert (
            known
            in {
                ("SELECT", "(organization_id IS NULL)", ""),
                ("INSERT", "", "(organization_id IS NULL)"),
            }
            or name == "orgs_user_fellow"
        ), at
        if verb == "INSERT":
            assert table == "audit_adminevent", at


def test_what_may_be_changed_may_not_be_moved_elsewhere(db: None) -> None:
    """A policy for all verbs says what may be written, not only what is seen."""
    for table, writes in ask(
        "SELECT tablename, with_check FROM pg_policies WHERE schemaname = current_schema() AND cmd IN ('ALL', 'UPDATE')"
        " AND %s = ANY(roles)",
        MEMBER_ROLE,
    ):
        assert writes, table


@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_do_more_than_read_and_write_rows(db: None, role: str) -> None:
    ((*rights,),) = ask(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication FROM pg_roles WHERE rolname = %s",
        role,
    )
    assert rights == [False] * 6
    assert ask("SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole", role) == []
    for right in ("TRUNCATE", "TRIGGER", "REFERENCES"):
        found = ask(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
            " AND has_table_privilege(%s, oid, %s)",
            role,
            right,
        )
        assert found == [], right
    assert ask("SELECT has_schema_privilege(%s, current_schema(), 'CREATE')", role) == [(False,)]


@pytest.mark.parametrize("role", [*ROLES, "public"])
def test_there_is_no_way_around_the_tables(db: None, role: str) -> None:
    """Neither a view, nor a month of the records by its own name: policies of a table do not bind whoever reads those."""
    assert reached(role, kinds="vmf") == set()
    months = {
        str(name)
        for (name,) in ask(
            "SELECT relname FROM pg_class WHERE relispartition AND relnamespace = current_schema()::regnamespace"
        )
    }
    assert months
    assert not reached(role) & months


def test_nothing_is_granted_to_everybody(db: None) -> None:
    assert reached("public") == set()


def test_what_runs_with_the_owners_rights_only_notes_changes(db: None) -> None:
    found = ask(
        "SELECT proname, proconfig::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prosecdef"
    )
    assert [name for name, _settings in found] == ["core_note_change"]
    assert "search_path=" in str(found[0][1])


def test_the_change_log_is_read_by_the_data_plane_alone(db: None) -> None:
    for role in ROLES:
        assert "core_change" not in reached(role)


def test_at_the_door_there_is_nothing_but_people_and_what_lets_them_in(db: None) -> None:
    tables = reached(DOOR_ROLE) - NOBODYS
    assert {name.split("_")[0] for name in tables} <= {
        "orgs",
        "account",
        "mfa",
        "usersessions",
        "invitations",
        "scim",
        "sso",
        "keys",
        "audit",
    }
    assert {name for name in tables if name.startswith("audit_")} == {"audit_adminevent"}


def test_at_the_door_events_are_written_and_not_read(two: Two) -> None:
    from apps.audit.actions import event_record
    from apps.audit.models import AdminEvent

    with scoped(DOOR):
        event_record("user.created", actor=Actor.system(), target=two.ana, organization_id=two.zeta.pk)
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            AdminEvent.objects.first()
    assert AdminEvent.objects.filter(action="user.created", organization=two.zeta).exists()


@pytest.mark.parametrize("role", [MEMBER_ROLE, STAFF_ROLE, DOOR_ROLE])
def test_what_happened_stays_as_it_was_written(db: None, role: str) -> None:
    for table in ("audit_requestrecord", "audit_adminevent", "audit_spend", "audit_adjustment"):
        for verb in ("UPDATE", "DELETE"):
            assert ask("SELECT has_table_privilege(%s, %s, %s)", role, table, verb) == [(False,)], (table, verb)
            if verb == "UPDATE":
                assert ask("SELECT has_any_column_privilege(%s, %s, %s)", role, table, verb) == [(False,)], table
