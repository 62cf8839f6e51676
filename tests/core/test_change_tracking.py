"""Every change of a tracked table is noted in its own transaction, whoever made it, and wakes the data plane."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from apps.core.change_tracking import CHANNEL, track_changes
from apps.core.ids import uuid7

# What the gateway's directory keeps in memory (apps/gateway/directory/queries.py).
TRACKED = (
    "orgs_organization",
    "policies_attachment",
    "policies_budget",
    "policies_policy",
    "providers_alias",
    "providers_aliastarget",
    "providers_credential",
    "providers_price",
    "providers_providerlisting",
    "providers_providermodel",
    "services_service",
    "services_token",
)

Noted = tuple[str, UUID | None, UUID | None]


@pytest.fixture
def session(db: None) -> Iterator["psycopg.Connection[Any]"]:
    """A session on the tests' database with a table of its own, `scratch`, whose column `noise` is not tracked."""
    from tests.support.gateway import test_database_url

    with psycopg.connect(test_database_url(), autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE scratch (id uuid, organization_id uuid, name text, noise integer)")
        connection.execute(sql.SQL(str(track_changes("scratch", ignoring=("noise",)).sql)))
        try:
            yield connection
        finally:
            connection.execute("DELETE FROM core_change WHERE kind = 'scratch'")


def noted(session: "psycopg.Connection[Any]") -> list[Noted]:
    rows = session.execute("SELECT kind, row_id, organization_id FROM core_change WHERE kind = 'scratch' ORDER BY id")
    return rows.fetchall()


def test_insert_update_and_delete_are_noted_with_row_and_organization(session: "psycopg.Connection[Any]") -> None:
    row, organization = uuid7(), uuid7()
    change: Noted = ("scratch", row, organization)

    session.execute("INSERT INTO scratch VALUES (%s, %s, 'a', 0)", (row, organization))
    assert noted(session) == [change]
    session.execute("UPDATE scratch SET name = 'b'")
    assert noted(session) == [change] * 2
    session.execute("DELETE FROM scratch")
    assert noted(session) == [change] * 3


def test_rows_are_named_where_no_column_is_ignored(session: "psycopg.Connection[Any]") -> None:
    session.execute("CREATE TEMPORARY TABLE plain (id uuid, organization_id uuid)")
    session.execute(sql.SQL(str(track_changes("plain").sql)))
    row, organization = uuid7(), uuid7()
    session.execute("INSERT INTO plain VALUES (%s, %s)", (row, organization))
    found = session.execute("SELECT row_id, organization_id FROM core_change WHERE kind = 'plain'").fetchall()
    session.execute("DELETE FROM core_change WHERE kind = 'plain'")
    assert found == [(row, organization)]


def test_every_row_of_one_statement_is_noted(session: "psycopg.Connection[Any]") -> None:
    rows = [uuid7() for _ in range(5)]
    session.execute("INSERT INTO scratch (id) SELECT unnest(%s::uuid[])", (rows,))
    session.execute("UPDATE scratch SET name = 'all'")
    assert noted(session) == [("scratch", row, None) for row in rows] * 2


def test_an_ignored_column_alone_is_not_noted_and_with_another_it_is(session: "psycopg.Connection[Any]") -> None:
    row = uuid7()
    session.execute("INSERT INTO scratch VALUES (%s, NULL, 'a', 0)", (row,))
    session.execute("UPDATE scratch SET noise = noise + 1")
    session.execute("UPDATE scratch SET name = 'a'")  # nothing changed
    assert len(noted(session)) == 1
    session.execute("UPDATE scratch SET noise = noise + 1, name = 'b'")
    session.execute("UPDATE scratch SET name = NULL")
    session.execute("UPDATE scratch SET name = 'c'")
    assert len(noted(session)) == 4


def test_truncation_is_noted_as_any_row(session: "psycopg.Connection[Any]") -> None:
    session.execute("INSERT INTO scratch (id) VALUES (%s)", (uuid7(),))
    session.execute("TRUNCATE scratch")
    assert noted(session)[1:] == [("scratch", None, None)]


def test_a_change_carries_its_own_transaction_and_goes_with_it(session: "psycopg.Connection[Any]") -> None:
    with session.transaction():
        (transaction,) = session.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or ()
        with session.transaction():  # a savepoint has an id of its own, which no snapshot is told of
            session.execute("INSERT INTO scratch (id) VALUES (%s)", (uuid7(),))
    assert session.execute("SELECT txid FROM core_change WHERE kind = 'scratch'").fetchall() == [(transaction,)]

    with session.transaction(force_rollback=True):
        session.execute("DELETE FROM scratch")
    assert len(noted(session)) == 1


def test_a_change_wakes_whoever_listens_once_it_is_committed(session: "psycopg.Connection[Any]") -> None:
    from tests.support.gateway import test_database_url

    with psycopg.connect(test_database_url(), autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        with session.transaction(force_rollback=True):
            session.execute("INSERT INTO scratch (id) VALUES (%s)", (uuid7(),))
        with session.transaction():
            session.execute("INSERT INTO scratch SELECT FROM generate_series(1, 100)")
        woken = [notify.pid for notify in listener.notifies(timeout=10, stop_after=1)]
        assert woken == [session.info.backend_pid]


def test_whoever_may_change_a_row_needs_no_right_on_the_log(session: "psycopg.Connection[Any]") -> None:
    role = f"test_{uuid7().hex}"
    session.execute(f"CREATE ROLE {role}; GRANT INSERT ON scratch TO {role}")
    try:
        session.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT FROM core_change")
        session.execute("INSERT INTO scratch (id) VALUES (%s)", (uuid7(),))
        session.execute("RESET ROLE")
        assert len(noted(session)) == 1
    finally:
        session.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("table", TRACKED)
def test_every_table_that_the_data_plane_remembers_is_tracked(table: str, session: "psycopg.Connection[Any]") -> None:
    triggers = session.execute(
        "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = %s::regclass AND tgfoid = 'core_note_change'::regproc",
        (table,),
    ).fetchall()
    assert sorted(triggers) == [(f"{table}_note_change", "O"), (f"{table}_note_truncate", "O")]
