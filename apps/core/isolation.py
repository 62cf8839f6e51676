"""SQL for migrations: what of a table each of the database's roles (apps.core.tenancy) sees and writes.

Row-level security is forced, so that it binds the tables' owner as well where that is no superuser; the owner has its own policy.
"""

from collections.abc import Iterable

from django.db.migrations import RunSQL

from apps.core.tenancy import DOOR_ROLE, MEMBER_ROLE, ROLES, STAFF_ROLE

ALL = "SELECT, INSERT, UPDATE, DELETE"
READ = "SELECT"
APPEND = "SELECT, INSERT"

_OURS = "organization_id = (SELECT core_organization())"

# One statement for each role, as an administrator may run them where the installation's own database user may not.
_CREATE = "; ".join(f"CREATE ROLE {role} NOLOGIN" for role in ROLES)
_ROLES = f"""
DO $$
DECLARE wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[{", ".join(f"'{role}'" for role in ROLES)}] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOBYPASSRLS', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this server has just made it
            END;
        END IF;
        IF NOT pg_has_role(current_user, wanted, 'SET') THEN
            EXECUTE format('GRANT %I TO %I WITH INHERIT FALSE, SET TRUE', wanted, current_user);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), wanted);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'The database user % may neither make nor take the roles that keep organizations apart. Have an administrator '
        'of the server run, but for roles that exist: {_CREATE}; and then: GRANT {", ".join(ROLES)} TO %;',
        current_user, current_user;
END $$;
"""

_FUNCTIONS = """
CREATE FUNCTION core_organization() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('tollgate.organization', true), '')::uuid;
CREATE FUNCTION core_person() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('tollgate.person', true), '')::uuid;
"""


def make_roles() -> RunSQL:
    """The roles, for all databases of the server, and what policies ask. Roles stay: another database may use them."""
    return RunSQL(_ROLES + _FUNCTIONS, "DROP FUNCTION core_organization(); DROP FUNCTION core_person();")


def isolate(table: str, *, shared: bool = False, members: str = ALL, staff: str = ALL, door: str = "") -> RunSQL:
    """An organization's people see and write its own rows alone. `shared`: they see rows of no organization too.

    `members`, `staff`, `door`: what each of the roles may do at all.
    """
    policies = [("member", MEMBER_ROLE, "ALL", _OURS)]
    if shared:
        policies.append(("hosted", MEMBER_ROLE, "SELECT", "organization_id IS NULL"))
    return isolate_by(table, policies, members=members, staff=staff, door=door)


def isolate_person(table: str, column: str = "user_id", *, members: str = ALL, staff: str = ALL) -> RunSQL:
    """Whoever is signed in sees and writes their own rows alone; the door, which lets people in, all."""
    own = f"{column} = (SELECT core_person())"
    return isolate_by(table, [("member", MEMBER_ROLE, "ALL", own)], members=members, staff=staff, door=ALL)


def isolate_by(
    table: str,
    policies: Iterable[tuple[str, str, str, str]],
    *,
    members: str = ALL,
    staff: str = ALL,
    door: str = "",
) -> RunSQL:
    """`policies`: name, role, command (ALL, SELECT …) and condition of each. Owner, staff and door are bound by none."""
    found = [
        *policies,
        ("owner", "CURRENT_USER", "ALL", "true"),
        ("staff", STAFF_ROLE, "ALL", "true"),
        *([("door", DOOR_ROLE, "ALL", "true")] if door else []),
    ]
    steps = [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"]
    for name, role, command, condition in found:
        checks = {"ALL": ("USING", "WITH CHECK"), "INSERT": ("WITH CHECK",), "UPDATE": ("USING", "WITH CHECK")}
        clauses = " ".join(f"{clause} ({condition})" for clause in checks.get(command, ("USING",)))
        steps.append(f"CREATE POLICY {table}_{name} ON {table} FOR {command} TO {role} {clauses}")
    undo = [f"DROP POLICY {table}_{name} ON {table}" for name, *_ in found]
    undo += [f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"]
    give, take = _grants(table, members=members, staff=staff, door=door)
    return RunSQL("; ".join(steps + give) + ";", "; ".join(take + undo) + ";")


def grant(table: str, *, members: str = "", staff: str = ALL, door: str = ALL) -> RunSQL:
    """Access to a table that is nobody's in particular."""
    give, take = _grants(table, members=members, staff=staff, door=door)
    return RunSQL("; ".join(give) + ";", "; ".join(take) + ";")


def _grants(table: str, *, members: str, staff: str, door: str) -> tuple[list[str], list[str]]:
    rights = ((MEMBER_ROLE, members), (STAFF_ROLE, staff), (DOOR_ROLE, door))
    give = [f"GRANT {right} ON {table} TO {role}" for role, right in rights if right]
    take = [f"REVOKE ALL ON {table} FROM {role}" for role, right in rights if right]
    return give, take
