"""The console's pages about alerts and how they travelled. Read only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.audit.readable import money
from apps.core.console import ReadOnlyAdmin
from apps.core.theme import AutocompleteSelectFilter, ChoicesDropdownFilter, display
from apps.policies.alerts import alert_facts
from apps.policies.models import AlertDelivery, BudgetAlert, CredentialAlert, DeliveryState
from apps.providers.health.words import refusal_remedy

STATE_LABELS = {DeliveryState.SENT: "success", DeliveryState.PENDING: "info", DeliveryState.FAILED: "danger"}


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ReadOnlyAdmin):
    """Which budget reached which level, newest first."""

    permission_read = "budgets.read"
    list_display = ("happened", "budget", "organization", "reached", "spent", "limit", "told")
    list_filter = (("organization", AutocompleteSelectFilter), ("budget", AutocompleteSelectFilter))
    list_select_related = (
        "organization",
        "budget__service",
        "budget__token",
        "budget__policy",
    )
    sortable_by = ()
    ordering = ("-id",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> "QuerySet[BudgetAlert]":
        """With their deliveries."""
        return super().get_queryset(request).prefetch_related("deliveries")

    @display(description=gettext_lazy("time (UTC)"))
    def happened(self, alert: BudgetAlert) -> str:
        """When it was noticed."""
        return f"{alert.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("level"))
    def reached(self, alert: BudgetAlert) -> str:
        """Which level."""
        return f"{alert.level} %"

    @display(description=gettext_lazy("spent"))
    def spent(self, alert: BudgetAlert) -> str:
        """How much was spent then."""
        return money(alert.spent_usd)

    @display(description=gettext_lazy("limit"))
    def limit(self, alert: BudgetAlert) -> str:
        """The limit as it was then."""
        return money(alert.limit_usd)

    @display(description=gettext_lazy("told"))
    def told(self, alert: BudgetAlert) -> str:
        """How many it has reached, of how many."""
        return _told(list(alert.deliveries.all()))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One alert with its deliveries."""
        alert = self.row_or_404(request, object_id)
        return self.page(
            request,
            "console/budget_alert.html",
            title=str(alert),
            row=alert,
            alert=alert,
            subject=alert_facts(alert)["subject"],
            deliveries=_labeled(alert),
        )


@admin.register(CredentialAlert)
class CredentialAlertAdmin(ReadOnlyAdmin):
    """Which credential its provider refused, newest first."""

    permission_read = "credentials.read"
    list_display = ("happened", "credential", "owner", "status", "model", "told")
    list_filter = (("organization", AutocompleteSelectFilter), ("credential", AutocompleteSelectFilter))
    list_select_related = ("organization", "credential")
    sortable_by = ()
    ordering = ("-id",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> "QuerySet[CredentialAlert]":
        """With their deliveries."""
        return super().get_queryset(request).prefetch_related("deliveries")

    @display(description=gettext_lazy("time (UTC)"))
    def happened(self, alert: CredentialAlert) -> str:
        """When it was noticed."""
        return f"{alert.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("offered to"))
    def owner(self, alert: CredentialAlert) -> str:
        """The organization, or everybody."""
        return str(alert.organization) if alert.organization is not None else _("everybody")

    @display(description=gettext_lazy("told"))
    def told(self, alert: CredentialAlert) -> str:
        """How many it has reached, of how many."""
        return _told(list(alert.deliveries.all()))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One alert with its deliveries."""
        alert = self.row_or_404(request, object_id)
        return self.page(
            request,
            "console/credential_alert.html",
            title=str(alert),
            row=alert,
            alert=alert,
            remedy=refusal_remedy(alert.status, alert.model),
            deliveries=_labeled(alert),
        )


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    """Each alert on its way to each address, newest first."""

    permission_read = "budgets.read"
    list_display = ("made", "about", "channel", "target", "where", "attempts", "next_attempt_at", "sent_at", "error")
    list_filter = (
        ("organization", AutocompleteSelectFilter),
        ("state", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
    )
    list_select_related = (
        "alert__budget__service",
        "alert__budget__token",
        "alert__budget__policy",
        "credential_alert__credential",
    )
    search_fields = ("target",)
    sortable_by = ()
    ordering = ("-id",)
    list_fullwidth = True
    actions = None
    fields = ("about", "channel", "target", "state", "attempts", "next_attempt_at", "sent_at", "error", "created_at")
    readonly_fields = ("about",)

    @display(description=gettext_lazy("alert"))
    def about(self, delivery: AlertDelivery) -> str:
        """Which alert."""
        return str(delivery.alert or delivery.credential_alert)

    @display(description=gettext_lazy("time (UTC)"))
    def made(self, delivery: AlertDelivery) -> str:
        """When it was put on its way."""
        return f"{delivery.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("state"), label=STATE_LABELS)
    def where(self, delivery: AlertDelivery) -> tuple[str, str]:
        """Whether it has arrived."""
        return delivery.state, str(delivery.get_state_display())


def _told(deliveries: list[AlertDelivery]) -> str:
    if not deliveries:
        return _("nobody")
    sent = sum(delivery.state == DeliveryState.SENT for delivery in deliveries)
    return _("%(sent)d of %(all)d") % {"sent": sent, "all": len(deliveries)}


def _labeled(alert: BudgetAlert | CredentialAlert) -> list[dict[str, Any]]:
    return [
        {"delivery": delivery, "label": STATE_LABELS[DeliveryState(delivery.state)]}
        for delivery in alert.deliveries.order_by("channel", "target")
    ]
