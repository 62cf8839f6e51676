"""Correct what calls of the past were charged, by the price book as it is today: adjustments beside the records, never in them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from apps.audit.models import Adjustment
from apps.core.actor import Actor
from apps.orgs.models import Organization
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.record_stream import fetch_rows, record_stream
from apps.providers.models import ProviderModel
from apps.providers.prices.money import pico, usd
from apps.providers.prices.recompute import NamedSheets, pico_of
from apps.providers.prices.selectors import price_book
from apps.providers.prices.sheet import PriceSheet
from apps.providers.usage.attempts import charged
from apps.providers.usage.columns import from_columns
from apps.services.models import Service, Token

MARK = "Repriced: "  # how reasons begin, so that a second run counts what the first one corrected
_REASON_LENGTH = 280
_KEPT = 10_000  # sheets in memory


@dataclass(frozen=True, slots=True)
class Repriced:
    """What a repricing did. Amounts in USD."""

    records: int
    adjustments: int
    difference: Decimal  # of the adjustments
    unpriced: int  # records that today's book has no price for either; they are left as they are


@dataclass(frozen=True, slots=True)
class _Group:
    """Whose spending on which day, in the organization's time zone."""

    organization: UUID
    service: UUID | None
    token: UUID | None
    end_user: str
    tags: tuple[str, ...]
    day: date


@transaction.atomic
def records_reprice(
    *, since: date, until: date, reason: str, actor: Actor, organization: Organization | None = None
) -> Repriced:
    """Charge calls from `since` up to and without `until`, days in each organization's time zone, as today's book says.

    The prices taken are those in force at each call's time, of the model that it was charged as. One adjustment is written per
    service, token, end user, tags and day on which the sum differs, less what earlier runs adjusted already: a second run adds
    nothing. A call that has an adjustment of its own is left to it. `organization` None: of all. Raises ValidationError.
    """
    reason = reason.strip()
    if not reason or len(reason) > _REASON_LENGTH:
        raise ValidationError({"reason": _("Say why, in at most %(most)d characters.") % {"most": _REASON_LENGTH}})
    if until <= since:
        raise ValidationError({"until": _("It ends before it begins: choose a later day.")})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('records_reprice'))")
    known = Organization.objects.all() if organization is None else [organization]
    organizations = {row.pk: row for row in known}
    zones = {key: ZoneInfo(row.timezone) for key, row in organizations.items()}
    days = _Days(since, until, zones)
    by_hand = set(days.adjustments().exclude(request_id=None).values_list("request_id", flat=True))
    prices = _TodaysPrices(organizations)
    differences: dict[_Group, int] = defaultdict(int)
    times: dict[_Group, datetime] = {}
    records = unpriced = 0
    for record in record_stream(days.starts, days.ends, organization):
        group = days.group(record)
        if group is None or record["id"] in by_hand:
            continue
        records += 1
        times[group] = min(times.get(group, record["created_at"]), record["created_at"])
        sheet = prices.sheet(record)
        amount = None if sheet is None else sheet.cost(from_columns(record)).pico
        before = prices.of_attempts(record)
        if before is None:
            amount = None
        elif amount is not None:
            amount += before
        elif before and not record["prices"]:
            amount = before  # nothing else of it was ever charged
        if amount is None:
            unpriced += 1
            differences[group] += 0
            continue
        differences[group] += amount - pico_of(record["cost"])
    for adjustment in days.adjustments().filter(request_id=None, reason__startswith=MARK):
        group = days.adjusted(adjustment)
        if group in differences:
            differences[group] -= pico(adjustment.amount_usd)
    written = _write(differences, times, organizations, MARK + reason, actor)
    return Repriced(records, len(written), sum(written, Decimal(0)), unpriced)


class _Days:
    """The days of a repricing in every organization's time zone, and what falls on them."""

    def __init__(self, since: date, until: date, zones: Mapping[UUID, ZoneInfo]) -> None:
        self._since, self._until, self._zones = since, until, zones
        # Wide enough for every time zone; each record's own day decides.
        self.starts = datetime(since.year, since.month, since.day, tzinfo=UTC) - timedelta(days=1)
        self.ends = datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=1)

    def group(self, record: Mapping[str, Any]) -> _Group | None:
        """Whose a record is; None if it is of another day, or of an organization that is not asked about."""
        return self._group(
            record["organization_id"],
            record["created_at"],
            (record["service_id"], record["token_id"], record["end_user"], tuple(sorted(record["tags"]))),
        )

    def adjusted(self, row: Adjustment) -> _Group | None:
        """Whose an adjustment is."""
        who = (row.service_id, row.token_id, row.end_user, tuple(sorted(row.tags)))
        return self._group(row.organization_id, row.at, who)

    def adjustments(self) -> Any:
        """Those that count for this time."""
        return Adjustment.objects.filter(organization_id__in=self._zones, at__gte=self.starts, at__lt=self.ends)

    def _group(
        self, organization: UUID | None, at: datetime, who: tuple[UUID | None, UUID | None, str, tuple[str, ...]]
    ) -> _Group | None:
        zone = self._zones.get(organization) if organization else None
        if organization is None or zone is None:
            return None
        day = at.astimezone(zone).date()
        return _Group(organization, *who, day) if self._since <= day < self._until else None


class _TodaysPrices:
    """What today's book says of the models that records were charged as."""

    def __init__(self, organizations: Mapping[UUID, Organization]) -> None:
        self._organizations = organizations
        self._named = NamedSheets(fetch_rows)
        self._known: dict[tuple[Any, ...], Callable[[float], PriceSheet | None]] = {}

    def of_attempts(self, record: Mapping[str, Any]) -> int | None:
        """What attempts cost today that were charged beside the last, in pico-USD; None: one of them has no price."""
        total = 0
        for attempt in charged(record["charged"]):
            sheet = self.sheet({**record, "prices": attempt.prices, "hosted": attempt.hosted})
            cost = None if sheet is None else sheet.cost(attempt.usage).pico
            if cost is None:
                return None
            total += cost
        return total

    def sheet(self, record: Mapping[str, Any]) -> PriceSheet | None:
        """The prices at the record's time; None: there are none.

        A record that names prices stays with their model, whatever the name leads to now. One that had none is looked up under
        what the models listed today say of its name.
        """
        charged = self._named.model(record["prices"]) if record["prices"] else None
        asked = charged or (record["provider"], record["model_asked"])
        key = (record["organization_id"], asked, charged is None, record["hosted"])
        find = self._known.get(key)
        if find is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            organization = self._organizations[record["organization_id"]]
            places = [(*charged, "")] if charged else list(_places(organization, *asked, hosted=record["hosted"]))
            # The use of the installation's credentials costs what the installation says.
            find = self._known[key] = _finder(None if record["hosted"] else organization, places)
        return find(record["created_at"].timestamp())


def _finder(
    organization: Organization | None, places: list[tuple[str, str, str]]
) -> Callable[[float], PriceSheet | None]:
    book = price_book(organization, [priced_as or model for _provider, model, priced_as in places])

    def find(at: float) -> PriceSheet | None:
        for provider, model, priced_as in places:
            if (sheet := book.sheet(provider, model, at, priced_as)) is not None:
                return sheet
        return None

    return find


def _places(organization: Organization, provider: str, asked: str, *, hosted: bool) -> Iterator[tuple[str, str, str]]:
    """Provider, name and `priced_as` under which the book may price what was asked for."""
    listed = ProviderModel.objects.filter(provider=provider, name=asked)
    for owner in (organization, None):
        for model in listed.filter(organization=owner).order_by("id"):
            priced_as = "" if hosted and owner is not None else model.priced_as
            yield provider, model.upstream_name or model.name, priced_as
            return


def _write(
    differences: Mapping[_Group, int],
    times: Mapping[_Group, datetime],
    organizations: Mapping[UUID, Organization],
    reason: str,
    actor: Actor,
) -> list[Decimal]:
    """One adjustment per group that differs; returns their amounts."""
    due = [(group, amount) for group, amount in differences.items() if amount]
    services = _by_id(Service.objects.all(), (group.service for group, _amount in due))
    tokens = _by_id(Token.objects.select_related("service"), (group.token for group, _amount in due))
    written = []
    for group, amount in sorted(due, key=lambda pair: (times[pair[0]], str(pair[0]))):
        amount_usd = Decimal(usd(amount))
        assert pico(amount_usd) == amount  # noqa: S101 - money
        adjustment_record(
            organization=organizations[group.organization],
            service=services.get(group.service),
            token=tokens.get(group.token),
            end_user=group.end_user,
            tags=group.tags,
            at=min(times[group], now()),
            amount_usd=amount_usd,
            reason=reason,
            actor=actor,
        )
        written.append(amount_usd)
    return written


def _by_id(rows: Any, ids: Iterable[UUID | None]) -> dict[UUID | None, Any]:
    return {row.pk: row for row in rows.filter(pk__in={key for key in ids if key is not None})}
