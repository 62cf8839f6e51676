"""The record's filters, each a question."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.audit.models import AdminEvent, RequestRecord
from apps.core.ids import uuid7_floor
from apps.core.theme import AutocompleteSelectFilter, DropdownFilter

_SPANS = {
    "15m": (_("In the last 15 minutes"), timedelta(minutes=15)),
    "1h": (_("In the last hour"), timedelta(hours=1)),
    "24h": (_("In the last 24 hours"), timedelta(hours=24)),
    "7d": (_("In the last 7 days"), timedelta(days=7)),
    "30d": (_("In the last 30 days"), timedelta(days=30)),
}
_MODELS_SHOWN = 200


class _Question:
    """Labels the field with the filter's title alone, where the theme would say "By …"."""

    title: Any

    def choices(self, changelist: Any) -> Iterator[Any]:
        for item in super().choices(changelist):  # type: ignore[misc]  # of the filter this is mixed into
            for field in item["form"].fields.values():
                field.label = self.title
            yield item


class WhenFilter(_Question, DropdownFilter):
    """When did it arrive? A range of ids, so that only the months concerned are read."""

    title = _("When")
    parameter_name = "when"
    all_option = ["", _("At any time")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Spans of time that end now."""
        return [(key, label) for key, (label, _span) in _SPANS.items()]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What arrived in the span."""
        span = _SPANS.get(self.value() or "")
        return queryset if span is None else queryset.filter(id__gte=uuid7_floor(now() - span[1]))


class OutcomeFilter(_Question, DropdownFilter):
    """How did it end? By status, which the partial index over failures answers."""

    title = _("How did it end")
    parameter_name = "outcome"
    all_option = ["", _("In any way")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """From good to bad."""
        return [
            ("ok", _("Answered")),
            ("failed", _("Not answered")),
            ("refused", _("Refused (4xx)")),
            ("limited", _("Limited (429)")),
            ("gone", _("The client left (499)")),
            ("error", _("Failed here or upstream (5xx)")),
        ]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[RequestRecord]) -> QuerySet[RequestRecord]:
        """Those that ended so."""
        match self.value():
            case "ok":
                return queryset.filter(status__lt=400)
            case "failed":
                return queryset.filter(status__gte=400)
            case "refused":
                return queryset.filter(status__gte=400, status__lt=499)
            case "limited":
                # Twice, so that the planner sees that the partial index over failures holds them all.
                return queryset.filter(status__gte=400, status=429)
            case "gone":
                return queryset.filter(status__gte=400, status=499)
            case "error":
                return queryset.filter(status__gte=500)
        return queryset


class WhichModelFilter(_Question, DropdownFilter):
    """Which model was asked for? Offers the names that are on record."""

    title = _("Which model")
    parameter_name = "model"
    all_option = ["", _("Any model")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Every name on record, as far as a list is of use."""
        return [(name, name) for name in models_asked(_MODELS_SHOWN)]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[RequestRecord]) -> QuerySet[RequestRecord]:
        """Those that asked for it."""
        return queryset.filter(model_asked=self.value()) if self.value() else queryset


class FlagFilter(_Question, DropdownFilter):
    """What is remarkable about its cost? By the record's flags."""

    title = _("What is remarkable")
    parameter_name = "flag"
    all_option = ["", _("Whatever")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """The flags, and what else may ask for a look."""
        return [
            ("unpriced", _("No price was known")),
            ("usage_mismatch", _("The provider's numbers disagree")),
            ("over_hold", _("It cost more than was held")),
            ("unknown_tier", _("It was served in a tier without prices")),
            ("paid_later", _("It was paid for later")),
            ("unowned", _("Nobody owns its response")),
            ("hedged", _("Two routes were asked at once")),
            ("counters_unasked", _("Limits and budgets could not be asked")),
            ("estimated", _("Usage is estimated")),
        ]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[RequestRecord]) -> QuerySet[RequestRecord]:
        """Those with the flag."""
        match self.value():
            case "estimated":
                return queryset.filter(usage_estimated=True)
            case (
                "unpriced"
                | "usage_mismatch"
                | "over_hold"
                | "unknown_tier"
                | "paid_later"
                | "unowned"
                | "hedged"
                | "counters_unasked" as flag
            ):
                # The second half lets PostgreSQL use an index over flagged records.
                return queryset.filter(flags__contains=[flag]).exclude(flags=[])
        return queryset


class WhoseFilter(_Question, AutocompleteSelectFilter):
    """Whose was it? For a token, a service or an organization, found by typing."""

    def __init__(self, field: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, *args, **kwargs)
        self.title = {"service": _("Which service"), "token": _("Which token"), "organization": _("Whose")}.get(
            field.name, self.title
        )


class DoorFilter(_Question, DropdownFilter):
    """Through which door was it done?"""

    title = _("Through which door")
    parameter_name = "door"
    all_option = ["", _("Any door")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Every door there is."""
        return [("admin", _("console")), ("command", _("command")), ("api", _("API")), ("up", _("first start"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[AdminEvent]) -> QuerySet[AdminEvent]:
        """What was done through it."""
        return queryset.filter(door=self.value()) if self.value() else queryset


def models_asked(most: int) -> list[str]:
    """The names of models on record, in order, at most so many.

    Hops along the index from each name to the next, as SELECT DISTINCT would read every record.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE names AS (
                (SELECT model_asked FROM audit_requestrecord WHERE model_asked > '' ORDER BY model_asked LIMIT 1)
                UNION ALL
                SELECT (SELECT r.model_asked FROM audit_requestrecord r WHERE r.model_asked > n.model_asked
                    ORDER BY r.model_asked LIMIT 1)
                FROM names n WHERE n.model_asked IS NOT NULL
            )
            SELECT model_asked FROM names WHERE model_asked IS NOT NULL LIMIT %s
            """,
            [most],
        )
        return [row[0] for row in cursor.fetchall()]
