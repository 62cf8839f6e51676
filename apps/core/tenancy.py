"""Whose rows the database shows to what runs now. PostgreSQL decides (apps.core.isolation); this says on whose behalf.

Every transaction is told when it begins (apps.core.postgresql), by a role that row-level security binds, and by settings of that
transaction alone. What belongs to no request (commands, workers, the data plane) runs as the installation, which owns the tables.
What answers a request begins as nobody, and sees no tenant's row until it is known who asks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

MEMBER_ROLE = "tollgate_member"
STAFF_ROLE = "tollgate_staff"
DOOR_ROLE = "tollgate_door"
ROLES = (MEMBER_ROLE, STAFF_ROLE, DOOR_ROLE)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one transaction may see: the database role that it runs as (empty: the tables' owner), for whom."""

    role: str
    organization: str = ""  # an id; empty: none
    person: str = ""  # an id; empty: nobody is signed in


INSTALLATION = Scope("")  # everything: migrations, commands, workers
NOBODY = Scope(MEMBER_ROLE)  # no tenant's row
DOOR = Scope(
    DOOR_ROLE
)  # people, memberships and invitations, to find out who somebody is; nothing that belongs to tenants
STAFF = Scope(STAFF_ROLE)  # platform staff: every organization

_current: ContextVar[Scope] = ContextVar("tollgate_scope", default=INSTALLATION)


def member_scope(organization_id: UUID, person_id: UUID | None) -> Scope:
    """One organization's rows. `person_id`: whoever is signed in; None: a key of the organization's."""
    return Scope(MEMBER_ROLE, str(organization_id), str(person_id or ""))


def person_scope(person_id: UUID) -> Scope:
    """Nobody's rows but the person's own: somebody who belongs to no organization."""
    return Scope(MEMBER_ROLE, "", str(person_id))


def current_scope() -> Scope:
    """The scope of what runs now."""
    return _current.get()


@contextmanager
def scoped(scope: Scope) -> Iterator[None]:
    """All queries within see what `scope` may, those of a transaction that is open already too."""
    token = _current.set(scope)
    try:
        _tell_open_transaction(scope)
        yield
    finally:
        _current.reset(token)
        _tell_open_transaction(_current.get())


@contextmanager
def at_the_door() -> Iterator[None]:
    """To find out who somebody is, or to let somebody in: sees people and where they belong, and nothing else of tenants."""
    with scoped(DOOR):
        yield


@contextmanager
def as_installation() -> Iterator[None]:
    """For the few things that a request does on behalf of the installation itself. Say why at each place."""
    with scoped(INSTALLATION):
        yield


def enter(scope: Scope) -> None:
    """The same for the rest of this context, before any query: where a server takes a request in."""
    _current.set(scope)


def tell(connection: BaseDatabaseWrapper, scope: Scope) -> None:
    """Have the open transaction see what `scope` may; its end takes that back."""
    connection.ensure_connection()
    # SET LOCAL, of three settings in one statement. On the driver's own cursor: this is no query that anybody counts or wraps.
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('role', %s, true), "
            "set_config('tollgate.organization', %s, true), set_config('tollgate.person', %s, true)",
            [scope.role or "none", scope.organization, scope.person],
        )


def _tell_open_transaction(scope: Scope) -> None:
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.in_atomic_block and not connection.needs_rollback and _may_ask(connection):
        tell(connection, scope)


def _may_ask(connection: BaseDatabaseWrapper) -> bool:
    """Whether its transaction has not failed: then it ends, and its settings with it, whatever comes."""
    raw = connection.connection
    return raw is not None and not raw.closed and raw.info.transaction_status is not TransactionStatus.INERROR
