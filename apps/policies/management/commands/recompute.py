import json as json_text
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.orgs.models import Organization
from apps.policies.actions.repricing import records_reprice
from apps.policies.record_stream import fetch_rows, record_stream
from apps.policies.usd import usd_text
from apps.providers.management.commands.set_price import date_argument
from apps.providers.prices.money import usd
from apps.providers.prices.recompute import NamedSheets, Totals, compare


class Command(OperatorCommand):
    """Compute again what calls cost."""

    help = (
        "Compute every record's cost again from the prices it names, and tell which differ. With --adjust, charge them by "
        "today's price book instead: adjustments are added, records never change."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--since", required=True, type=date_argument, metavar="DATE", help="2026-11-01, UTC")
        parser.add_argument(
            "--until", type=date_argument, metavar="DATE", help="without this moment itself; now if left out"
        )
        parser.add_argument("--org", metavar="SLUG", help="of this organization alone")
        parser.add_argument(
            "--json", action="store_true", help="print JSON lines: the mismatches, and the sum as the last"
        )
        doing = parser.add_mutually_exclusive_group()
        doing.add_argument("--check", action="store_true", help="exit with code 1 if any amount differs")
        doing.add_argument(
            "--adjust",
            action="store_true",
            help="charge whole days, in each organization's time zone, as today's book says",
        )
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, with --adjust")

    def handle(
        self,
        *,
        since: datetime,
        until: datetime | None,
        org: str | None,
        json: bool,
        check: bool,
        adjust: bool,
        reason: str,
        **_options: Any,
    ) -> None:
        """Refuses an end before the beginning."""
        if until is not None and until <= since:
            raise CommandError("--until lies before --since.", returncode=2)
        organization = None if org is None else named_organization(org)
        if adjust:
            self._adjust(since, until, organization, reason, as_json=json)
            return
        if reason:
            raise CommandError("--reason goes with --adjust.", returncode=2)
        self._check(since, until or now(), organization, as_json=json, strict=check)

    def _check(
        self, since: datetime, until: datetime, organization: Organization | None, *, as_json: bool, strict: bool
    ) -> None:
        totals = Totals()
        for found in compare(record_stream(since, until, organization), NamedSheets(fetch_rows), totals):
            if as_json:
                line = {
                    "request_id": found.request,
                    "recorded_usd": found.recorded,
                    "recomputed_usd": found.recomputed,
                    "reason": found.reason,
                }
                self.stdout.write(json_text.dumps(line))
            else:
                recorded, recomputed = found.recorded or "unpriced", found.recomputed or "unpriced"
                self.stdout.write(f"{found.request}  recorded {recorded}  recomputed {recomputed}  {found.reason}")
        if as_json:
            summary = {
                "records": totals.records,
                "unpriced": totals.unpriced,
                "recorded_usd": usd(totals.recorded),
                "recomputed_usd": usd(totals.recomputed),
                "mismatches": totals.mismatches,
            }
            self.stdout.write(json_text.dumps(summary))
        else:
            self.stdout.write(
                f"{totals.records} records, {totals.unpriced} of them unpriced: recorded {usd(totals.recorded)} USD, "
                f"recomputed {usd(totals.recomputed)} USD, {totals.mismatches} mismatches."
            )
        if strict and totals.mismatches:
            raise CommandError(f"{totals.mismatches} of {totals.records} records do not come out as recorded.")

    def _adjust(
        self, since: datetime, until: datetime | None, organization: Organization | None, reason: str, *, as_json: bool
    ) -> None:
        for option, at in (("--since", since), ("--until", until)):
            if at is not None and (at.hour, at.minute, at.second, at.microsecond) != (0, 0, 0, 0):
                raise CommandError(f"{option}: --adjust takes whole days, such as 2026-11-01.", returncode=2)
        # A day more than today's in UTC: somewhere it is tomorrow already.
        last = (now().astimezone(UTC) + timedelta(days=2)).date() if until is None else until.date()
        done = records_reprice(
            since=since.date(), until=last, reason=reason, actor=self.actor, organization=organization
        )
        if as_json:
            line = {
                "records": done.records,
                "unpriced": done.unpriced,
                "adjustments": done.adjustments,
                "difference_usd": f"{done.difference:.12f}",
            }
            self.stdout.write(json_text.dumps(line))
            return
        self.stdout.write(
            f"{done.records} records, {done.unpriced} of them without a price today as well: {done.adjustments} adjustments, "
            f"{usd_text(done.difference)} USD in all."
        )
