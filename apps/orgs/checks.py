"""A system check: no table with an organization's rows is without row-level security."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import OperationalError, ProgrammingError, connections

from apps.core.tenancy import MEMBER_ROLE, ROLES

# Tables that members may reach, and which of them are not forced to show a member's own rows alone.
_OPEN = """
SELECT c.relname
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'organization_id' AND NOT a.attisdropped)
  AND EXISTS (SELECT FROM unnest(%s::text[]) role WHERE has_any_column_privilege(role, c.oid, 'SELECT, INSERT, UPDATE'))
  AND NOT (
    c.relrowsecurity AND c.relforcerowsecurity
    AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND %s::regrole = ANY (p.polroles)))
ORDER BY c.relname
"""


def open_tables(alias: str = "default") -> list[str]:
    """Tables whose rows carry an organization and are not kept apart by the database."""
    with connections[alias].cursor() as cursor:
        cursor.execute(_OPEN, [list(ROLES), MEMBER_ROLE])
        return [name for (name,) in cursor.fetchall()]


@register(Tags.database)
def check_isolation(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """orgs.E001 for each such table. `manage.py migrate` and `check --database default` run it."""
    if "default" not in (databases or ()):
        return []
    try:
        tables = open_tables()
    except (OperationalError, ProgrammingError):
        return []  # no database, or one that has yet to be migrated: whoever needs it says so
    return [
        Error(
            f"The rows of {table} carry an organization, and row-level security does not keep them apart.",
            hint="Add apps.core.isolation.isolate to its migration.",
            id="orgs.E001",
        )
        for table in tables
    ]
