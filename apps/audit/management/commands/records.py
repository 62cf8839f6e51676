import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from django.apps import apps
from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.audit.models import RequestRecord
from apps.audit.selectors import Filters, records_arrived, records_recent
from apps.audit.tables import RecordTable
from apps.core.commands import OperatorCommand, duration

# A batch is stamped when its statement starts and seen when it is committed; those that took longer are not shown by
# --follow.
_OVERLAP = timedelta(seconds=5)


class Command(OperatorCommand):
    """Show the last requests."""

    help = "Show the last requests, newest at the end: as a table, or with --json as JSON lines with every field."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", metavar="SLUG", help="of this organization")
        parser.add_argument("--service", metavar="NAME", help="of this service")
        parser.add_argument("--since", type=duration, metavar="1h", help="that arrived in the last 30m, 12h, 7d, 4w …")
        parser.add_argument("--errors", action="store_true", help="that failed: status 400 and above")
        parser.add_argument("--model", metavar="NAME", help="that asked for this model")
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (20)")
        parser.add_argument("--json", action="store_true", help="print JSON lines")
        parser.add_argument("--follow", "-f", action="store_true", help="go on with what arrives, until Ctrl-C")

    def handle(
        self,
        *,
        org: str | None,
        service: str | None,
        since: timedelta | None,
        errors: bool,
        model: str | None,
        limit: int,
        json: bool,
        follow: bool,
        **_options: Any,
    ) -> None:
        """Refuses a limit below 0, and organizations and services that do not exist."""
        if limit < 0:
            raise CommandError("--limit takes a number of 0 or more.")
        organization_id = None if org is None else _organization_id(org)
        filters = Filters(
            organization_id=organization_id,
            service_ids=None if service is None else _service_ids(service, organization_id),
            since=None if since is None else now() - since,
            failed=True if errors else None,
            model=model,
        )
        try:
            self._show(filters, limit, as_json=json, follow=follow)
            self.stdout.flush()
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _show(self, filters: Filters, limit: int, *, as_json: bool, follow: bool) -> None:
        started = now()
        latest = list(records_recent(limit=limit, **filters).select_related("service"))[::-1]
        table = RecordTable(latest)
        if not latest and not follow:
            if not as_json:
                self.say("There are no such requests.")
            return
        if not as_json:
            self.stdout.write(table.header())
        show: Callable[[RequestRecord], str] = _json_line if as_json else lambda record: self._coloured(table, record)
        self._write(latest, show)
        if follow:
            self._follow(filters, latest, started - _OVERLAP, show)

    def _follow(
        self,
        filters: Filters,
        shown: list[RequestRecord],
        since: datetime,
        show: Callable[[RequestRecord], str],
    ) -> None:
        seen = {record.pk: record.recorded_at for record in shown}
        if not shown:
            # Nothing shown because --limit is 0, or there is nothing: only what arrives from now on is news.
            seen = {record.pk: record.recorded_at for record in records_arrived(recorded_since=since, **filters)}
        while True:
            self.stdout.flush()
            time.sleep(1)
            fresh = [
                record
                for record in records_arrived(recorded_since=since, **filters).select_related("service")
                if record.pk not in seen
            ]
            self._write(fresh, show)
            seen.update((record.pk, record.recorded_at) for record in fresh)
            since = max((*seen.values(), since + _OVERLAP)) - _OVERLAP
            seen = {key: at for key, at in seen.items() if at >= since}

    def _write(self, records: Iterable[RequestRecord], show: Callable[[RequestRecord], str]) -> None:
        for record in records:
            self.stdout.write(show(record))

    def _coloured(self, table: RecordTable, record: RequestRecord) -> str:
        line = table.line(record)
        if record.status >= 500:
            return self.style.ERROR(line)
        return self.style.WARNING(line) if record.status >= 400 else line


def _json_line(record: RequestRecord) -> str:
    fields = {field.attname: getattr(record, field.attname) for field in RequestRecord._meta.concrete_fields}
    service = None if record.service is None else str(record.service)
    return orjson.dumps({"request_id": record.shown_id, "service": service, **fields}, default=_exact).decode()


def _exact(value: object) -> str:
    """Money as text, to the last digit: a JSON number would be read as a float."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError


# The audit room imports no other: what records refer to is asked for by name.


def _organization_id(slug: str) -> UUID:
    organizations = apps.get_model("orgs.Organization")._default_manager
    found: UUID | None = organizations.filter(slug=slug).values_list("pk", flat=True).first()
    if found is None:
        slugs = list(organizations.order_by("slug").values_list("slug", flat=True)[:10])
        hint = f"there are {', '.join(slugs)}" if slugs else "`manage.py setup` creates one"
        raise CommandError(f"There is no organization {slug!r}: {hint}.")
    return found


def _service_ids(name: str, organization_id: UUID | None) -> list[UUID]:
    services = apps.get_model("services.Service")._default_manager.all()
    if organization_id is not None:
        services = services.filter(organization_id=organization_id)
    found: list[UUID] = list(services.filter(name=name).values_list("pk", flat=True))
    if not found:
        names = list(services.order_by("name").values_list("name", flat=True).distinct()[:10])
        hint = f"there are {', '.join(names)}" if names else "`manage.py create_service` creates one"
        raise CommandError(f"There is no service {name!r}: {hint}.")
    return found
