from argparse import ArgumentParser
from typing import Any

import redis
from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.core.commands import OperatorCommand
from apps.core.ids import parse_request_id, request_id
from apps.orgs.arguments import named_organization
from apps.orgs.models import Organization
from apps.policies.actions.holds import hold_release
from apps.policies.budget_tables import table
from apps.policies.counters.control import holds
from apps.policies.usd import nano_text


class Command(OperatorCommand):
    """Release what a call holds of its budgets."""

    help = (
        "Free what a call holds of its budgets before its lease ends, or with --list show what running calls hold. A released "
        "call is still charged what it costs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("request", nargs="?", metavar="REQUEST_ID", help="the call: req_…")
        parser.add_argument("--list", action="store_true", dest="listed", help="show what is held, oldest first")
        parser.add_argument("--org", metavar="SLUG", help="with --list: of this organization")

    def handle(self, *, request: str | None, listed: bool, org: str | None, **_options: Any) -> None:
        """Refuses a call that holds nothing."""
        if (request is None) != listed or (org is not None and not listed):
            raise CommandError("Name one request, or write --list, with --org if you like.", returncode=2)
        try:
            if request is None:
                self._show(None if org is None else named_organization(org))
            else:
                self._release(request)
        except redis.RedisError as error:
            raise CommandError(f"The counters cannot be reached: {error}") from error

    def _show(self, organization: Organization | None) -> None:
        found = holds(organization)
        if not found:
            self.say("Nothing is held.")
            return
        slugs = dict(Organization.objects.values_list("id", "slug"))
        moment = now()
        rows = [
            (
                request_id(hold.request_id),
                slugs.get(hold.organization_id, str(hold.organization_id)),
                str(hold.token_id),
                nano_text(hold.held_nano),
                f"{(moment - hold.since).total_seconds():.0f} s",
                f"{(hold.lease_ends - moment).total_seconds():.0f} s",
            )
            for hold in found
        ]
        titles = ("REQUEST", "ORG", "TOKEN", "USD", "SINCE", "LEASE ENDS IN")
        for line in table(titles, rows, right={"USD", "SINCE", "LEASE ENDS IN"}):
            self.stdout.write(line)

    def _release(self, shown: str) -> None:
        request = parse_request_id(shown)
        if request is None:
            raise CommandError(f"{shown!r} is no request's id: it begins with req_.", returncode=2)
        hold = hold_release(request=request, actor=self.actor)
        if hold is None:
            raise CommandError(f"{request_id(request)} holds nothing: it has ended, or was never admitted.")
        self.stdout.write(f"Released {nano_text(hold.held_nano)} USD of {request_id(request)}.")
