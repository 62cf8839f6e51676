from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.orgs.models import User
from apps.orgs.people.factors import second_factors_of
from apps.orgs.people.sessions import sessions_of
from apps.orgs.selectors import users_of


class Command(OperatorCommand):
    """Show who can sign in."""

    help = (
        "Show who can sign in, where they belong, and by what they are known. As a table, or with --json as JSON lines."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", metavar="SLUG", help="members of this organization; everybody if left out")
        parser.add_argument("--json", action="store_true", help="print JSON lines")

    def handle(self, *, org: str | None, json: bool, **_options: Any) -> None:
        """One line for each user, by e-mail."""
        users = users_of(None if org is None else named_organization(org))
        lines = (orjson.dumps(_facts(user)).decode() for user in users) if json else _table(users)
        for line in lines:
            self.stdout.write(line)


def _facts(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "active": user.is_active,
        "platform_staff": user.is_superuser,
        "organizations": {each.organization.slug: each.role for each in user.memberships.all()},
        "password": user.has_usable_password(),
        "second_factors": second_factors_of(user),
        "sessions": len(sessions_of(user)),
        "last_sign_in": None if user.last_login is None else f"{user.last_login:%Y-%m-%dT%H:%M:%SZ}",
    }


def _table(users: Iterable[User]) -> Iterator[str]:
    rows = [("E-MAIL", "STATE", "STAFF", "BELONGS TO", "SECOND FACTORS", "SESSIONS", "LAST SIGN-IN")]
    for user in users:
        facts = _facts(user)
        rows.append(
            (
                facts["email"],
                "active" if facts["active"] else "off",
                "yes" if facts["platform_staff"] else "",
                ", ".join(f"{slug} ({role})" for slug, role in facts["organizations"].items()),
                ", ".join(facts["second_factors"]),
                str(facts["sessions"]),
                facts["last_sign_in"] or "never",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
