"""The console's pages about adjustments: corrections of what was spent, added to the ledger and never changed."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.audit.models import Adjustment
from apps.audit.readable import money_exact
from apps.core.console import ConsoleAdmin, request_actor
from apps.core.ids import request_id
from apps.core.theme import AutocompleteSelectFilter, InfinitePaginator, display
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.forms import AdjustmentForm


@admin.register(Adjustment)
class AdjustmentAdmin(ConsoleAdmin):
    """Corrections, newest first; add one."""

    permission_read = "budgets.read"
    permission_write = "budgets.write"
    form = AdjustmentForm
    list_display = ("made", "organization", "whose", "counts_for", "amount", "reason")
    list_filter = (("organization", AutocompleteSelectFilter),)
    search_fields = ("reason", "end_user")
    sortable_by = ()
    ordering = ("-id",)
    paginator = InfinitePaginator
    show_full_result_count = False
    fields = ("organization", "whose", "counts_for", "amount", "reason", "of_request", "made", "created_by")
    readonly_fields = ("whose", "counts_for", "amount", "of_request", "made")
    add_fieldsets = (
        (None, {"fields": ("organization", "amount_usd", "reason")}),
        (gettext_lazy("Whose, beside the organization"), {"fields": ("service", "token", "end_user", "tags", "at")}),
        (gettext_lazy("Or for one call"), {"fields": ("request_id",)}),
    )
    actions = None

    @display(description=gettext_lazy("time (UTC)"))
    def made(self, adjustment: Adjustment) -> str:
        """When it was recorded."""
        return f"{adjustment.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("whose"))
    def whose(self, adjustment: Adjustment) -> str:
        """For whom it counts, beside the organization."""
        parts = [str(row) for row in (adjustment.token or adjustment.service,) if row is not None]
        parts += [adjustment.end_user, *adjustment.tags]
        return ", ".join(filter(None, parts)) or _("the organization alone")

    @display(description=gettext_lazy("counts for (UTC)"))
    def counts_for(self, adjustment: Adjustment) -> str:
        """The time it counts for."""
        return f"{adjustment.at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("amount"))
    def amount(self, adjustment: Adjustment) -> str:
        """To the last digit."""
        return money_exact(adjustment.amount_usd)

    @display(description=gettext_lazy("request"))
    def of_request(self, adjustment: Adjustment) -> str:
        """The call that was charged wrongly."""
        return "—" if adjustment.request_id is None else request_id(adjustment.request_id)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Adjustment]":
        """With what they name, in one query: adjustments outlive that."""
        return super().get_queryset(request).select_related("organization", "service", "token", "created_by")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """None while adding."""
        return self.readonly_fields if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: another adjustment corrects one."""
        return False

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Adjustment:
        """Add it to the ledger."""
        return adjustment_record(
            organization=values["organization"],
            amount_usd=values["amount_usd"] or Decimal(0),
            reason=values["reason"],
            service=values["service"],
            token=values["token"],
            end_user=values["end_user"],
            tags=values["tags"],
            at=values["at"],
            request=values["request_id"],
            actor=request_actor(request),
        )
