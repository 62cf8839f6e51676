"""The price book's filters, each a question."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.theme import DropdownFilter
from apps.orgs.models import Organization
from apps.providers.prices.models import Price, Tier

_MOST_SHOWN = 200
_PLACE = ("organization_id", "provider", "model", "tier", "above_input_tokens")


def in_force_now() -> "QuerySet[Price, Any]":
    """The ids of the rows that apply now, of all owners: for `pk__in`."""
    rows = Price.objects.filter(withdrawn_at=None, effective_from__lte=now())
    return rows.order_by(*_PLACE, "-effective_from").distinct(*_PLACE).values("pk")


class RowsFilter(DropdownFilter):
    """Which rows? Those that apply now, unless asked otherwise."""

    title = _("rows")
    parameter_name = "rows"
    all_option = ["", _("That apply now")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """By time, and withdrawn ones."""
        return [
            ("later", _("That apply later")),
            ("past", _("That were replaced")),
            ("withdrawn", _("Withdrawn")),
            ("all", _("All of all times")),
        ]

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Price]") -> "QuerySet[Price]":
        """Those asked for."""
        match self.value():
            case "later":
                return queryset.filter(withdrawn_at=None, effective_from__gt=now())
            case "past":
                return queryset.filter(withdrawn_at=None, effective_from__lte=now()).exclude(pk__in=in_force_now())
            case "withdrawn":
                return queryset.exclude(withdrawn_at=None)
            case "all":
                return queryset
        return queryset.filter(pk__in=in_force_now())


class ProviderFilter(DropdownFilter):
    """Whose models? Offers the providers of the book, of which there are more than we call."""

    title = _("provider")
    parameter_name = "provider"
    all_option = ["", _("Any provider")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Every provider in the book."""
        names = Price.objects.order_by("provider").values_list("provider", flat=True).distinct()
        return [(name, name) for name in names[:_MOST_SHOWN]]

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Price]") -> "QuerySet[Price]":
        """The provider's."""
        return queryset.filter(provider=self.value()) if self.value() else queryset


class OwnerFilter(DropdownFilter):
    """Who pays these? The installation's book, or an organization with prices of its own."""

    title = _("owner")
    parameter_name = "owner"
    all_option = ["", _("Anybody's")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """The installation, and organizations that have any."""
        owners = Price.objects.exclude(organization=None).values("organization_id")
        organizations = Organization.objects.filter(pk__in=owners).order_by("name")
        return [("shared", _("The installation's")), *((str(row.pk), str(row)) for row in organizations[:_MOST_SHOWN])]

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Price]") -> "QuerySet[Price]":
        """The owner's own."""
        if not self.value():
            return queryset
        owner = {key for key, _label in self.lookup_choices if key == self.value()}  # nothing but what was offered
        if not owner:
            return queryset.none()
        return queryset.filter(Q(organization=None) if self.value() == "shared" else Q(organization=self.value()))


class TierFilter(DropdownFilter):
    """In which tier?"""

    title = _("tier")
    parameter_name = "tier"
    all_option = ["", _("Any tier")]

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """The tiers, and what applies to long requests alone."""
        return [
            ("standard", Tier.STANDARD.label),
            *((tier.value, tier.label) for tier in Tier if tier.value),
            ("long", _("long context")),
        ]

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Price]") -> "QuerySet[Price]":
        """Rows of the tier."""
        match self.value():
            case None | "":
                return queryset
            case "standard":
                return queryset.filter(tier=Tier.STANDARD, above_input_tokens=0)
            case "long":
                return queryset.filter(above_input_tokens__gt=0)
        return queryset.filter(tier=self.value())
