"""The tables' owner need not be a superuser, as it is not at most who rent their PostgreSQL out."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from apps.core.databases import libpq_url
from apps.core.tenancy import MEMBER_ROLE, ROLES
from tests.support.gateway import test_database_url

ROOT = Path(__file__).parents[2]
USER = "tollgate_renter"


@pytest.fixture
def administrator(db: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(libpq_url(test_database_url()), autocommit=True) as connection:
        yield connection


@pytest.fixture
def database(administrator: psycopg.Connection) -> Iterator[str]:
    """A database of its own for a user who may log in, and nothing else."""
    name = f"rented_{uuid4().hex[:8]}"
    administrator.execute(f"CREATE ROLE {USER} LOGIN PASSWORD 'renter'")
    administrator.execute(f"CREATE DATABASE {name} OWNER {USER}")
    try:
        yield name
    finally:
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
        administrator.execute(
            sql.SQL("REVOKE {} FROM {} CASCADE").format(sql.SQL(", ".join(ROLES)), sql.Identifier(USER))
        )
        administrator.execute(f"DROP ROLE {USER}")


def url_of(administrator: psycopg.Connection, database: str) -> str:
    info = administrator.info
    return f"postgresql://{USER}:renter@/{database}?host={info.host}&port={info.port}"


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_owner_that_row_level_security_binds_serves_all_and_each_organization_sees_its_own(
    administrator: psycopg.Connection, database: str
) -> None:
    administrator.execute(f"ALTER ROLE {USER} CREATEROLE")
    for role in ROLES:
        administrator.execute(f"GRANT {role} TO {USER} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    url = url_of(administrator, database)
    done = migrate(url)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url, autocommit=True) as owner:
        ids = [uuid4(), uuid4()]
        for number, each in enumerate(ids):
            owner.execute(
                "INSERT INTO orgs_organization (id, name, slug, timezone, created_at) VALUES (%s, 'O', %s, 'UTC', now())",
                [each, f"o{number}"],
            )
        assert owner.execute("SELECT count(*) FROM orgs_organization").fetchone() == (2,)
        with owner.transaction():
            owner.execute(
                "SELECT set_config('role', %s, true), set_config('tollgate.organization', %s, true)",
                [MEMBER_ROLE, str(ids[1])],
            )
            assert owner.execute("SELECT slug FROM orgs_organization").fetchall() == [("o1",)]


def test_an_owner_that_may_neither_make_roles_nor_take_them_is_told_what_an_administrator_does(
    administrator: psycopg.Connection, database: str
) -> None:
    url = url_of(administrator, database)
    refused = migrate(url)
    assert refused.returncode != 0
    assert "GRANT tollgate_member, tollgate_staff, tollgate_door TO tollgate_renter" in refused.stderr
    for role in ROLES:
        administrator.execute(f"GRANT {role} TO {USER} WITH INHERIT FALSE, SET TRUE")
    mended = migrate(url)
    assert mended.returncode == 0, mended.stderr
