import argparse
from argparse import ArgumentParser
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.core.ids import parse_request_id
from apps.orgs.arguments import named_organization
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.arguments import named_token
from apps.policies.usd import parse_usd, usd_text
from apps.services.arguments import named_service


def _time(word: str) -> datetime:
    """2026-11-20 or 2026-11-20T14:30: an argument's type."""
    try:
        return datetime.fromisoformat(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no time: write 2026-11-20 or 2026-11-20T14:30") from None


def _request(word: str) -> UUID:
    """req_…: an argument's type."""
    found = parse_request_id(word)
    if found is None:
        raise argparse.ArgumentTypeError(f"{word!r} is no request's id: it begins with req_")
    return found


class Command(OperatorCommand):
    """Correct what was spent."""

    help = (
        "Add a correction to what was spent, with its reason. Records are never changed: budgets count the correction beside "
        "them. With --request it counts for everything that this call counted for."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        parser.add_argument("--usd", required=True, metavar="AMOUNT", help="such as -1.25: so much less was spent")
        parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for whoever reads it later")
        parser.add_argument("--service", metavar="NAME", help="of this service as well")
        parser.add_argument("--token", metavar="ID", help="of this token and its service as well")
        parser.add_argument("--end-user", default="", metavar="ID", help="of this end user as well")
        parser.add_argument("--tag", action="append", default=[], metavar="K=V", help="of this tag as well; repeatable")
        parser.add_argument(
            "--at", type=_time, metavar="TIME", help="when it counts, in the organization's time zone; now if left out"
        )
        parser.add_argument("--request", type=_request, metavar="ID", help="the call that was charged wrongly: req_…")

    def handle(
        self,
        *,
        org: str,
        usd: str,
        reason: str,
        service: str | None,
        token: str | None,
        end_user: str,
        tag: list[str],
        at: datetime | None,
        request: UUID | None,
        **_options: Any,
    ) -> None:
        """Refuses amounts of 0, times to come, and rows of other organizations."""
        organization = named_organization(org)
        if end_user == "*":
            raise CommandError("end_user: An adjustment is for one end user: name it.")
        if at is not None and at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(organization.timezone))
        made = adjustment_record(
            organization=organization,
            amount_usd=parse_usd(usd, "amount_usd"),
            reason=reason,
            service=None if service is None else named_service(org, service),
            token=None if token is None else named_token(token, organization),
            end_user=end_user,
            tags=tag,
            at=at,
            request=request,
            actor=self.actor,
        )
        self.stdout.write(f"Adjusted {organization} by {usd_text(made.amount_usd)} USD ({made.pk}).")
