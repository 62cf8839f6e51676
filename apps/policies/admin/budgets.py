"""The console's pages about budgets: gauges, what is held, alerts, corrections."""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import redis
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.audit.models import Adjustment
from apps.audit.readable import money, money_exact
from apps.core.console import ConsoleAdmin, request_actor
from apps.core.ids import request_id
from apps.core.rowactions import row_action
from apps.core.theme import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    action,
    display,
)
from apps.policies.actions.adjustments import adjustment_record
from apps.policies.actions.budgets import (
    Subject,
    budget_create,
    budget_delete,
    budget_disable,
    budget_enable,
    budget_update,
)
from apps.policies.actions.holds import hold_release
from apps.policies.admin.gauges import budget_rows, local_time, runs_out
from apps.policies.counters.control import holds
from apps.policies.forms import AdjustForm, BudgetForm
from apps.policies.models import Budget, BudgetScope
from apps.policies.selectors.budgets import BudgetState, budget_states
from apps.policies.usd import nano_text

EVERY_END_USER = "*"
_SUBJECTS = ("service", "token", "policy", "end_user", "tag")
_STATES_SHOWN = 100
_HOLDS_SHOWN = 100
_HOLDERS_COUNTED = 20  # in the list, a policy's budget with more holders is not added up
_ALERTS_SHOWN = 30
_ADJUSTMENTS_SHOWN = 20
_AWAY = gettext_lazy("The counters cannot be reached: try again once Valkey answers.")


@admin.register(Budget)
class BudgetAdmin(ConsoleAdmin):
    """Budgets: add, change, disable, delete; free what is held; correct what was spent."""

    permission_read = "budgets.read"
    permission_write = "budgets.write"
    form = BudgetForm
    list_display = (
        "whose",
        "gauge",
        "remaining",
        "window_shown",
        "resets",
        "runs_out",
        "organization",
        "action",
        "state",
    )
    list_filter = (
        ("organization", AutocompleteSelectFilter),
        ("scope", ChoicesDropdownFilter),
        ("window", ChoicesDropdownFilter),
        ("action", ChoicesDropdownFilter),
        "enabled",
    )
    list_select_related = ("organization", "service", "token", "policy")
    list_fullwidth = True
    sortable_by = ("organization",)
    ordering = ("organization", "scope", "id")
    search_fields = ("end_user", "tag", "service__name", "token__name", "policy__name", "organization__name")
    search_help_text = gettext_lazy("A service, token, policy, end user, tag, or organization")
    autocomplete_fields = ("organization", "service", "token", "policy")
    fieldsets = (
        (
            gettext_lazy("Whose spending"),
            {
                "fields": ("organization", "scope", *_SUBJECTS),
                "description": gettext_lazy("The scope says which of the others to fill in; the rest stays empty."),
            },
        ),
        (gettext_lazy("How much, in which time"), {"fields": ("limit_usd", "window", "rolling_days")}),
        (gettext_lazy("What happens"), {"fields": ("action", "alert_at")}),
    )
    change_form_outer_before_template = "console/budget_states.html"
    change_form_outer_after_template = "console/budget_details.html"
    actions = None
    actions_detail = ("adjust", "disable", "enable", "delete_budget")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """With the number of places where a policy's budget counts."""
        budgets = super().get_queryset(request).annotate(holders=Count("policy__attachments"))
        return cast("QuerySet[Any]", budgets)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With how the budgets of this page stand, and of no others."""
        response = super().changelist_view(request, extra_context)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist is not None:
            changelist.result_list = list(changelist.result_list)
            _with_states(changelist.result_list)
        return response

    @display(description=gettext_lazy("whose"))
    def whose(self, budget: Budget) -> str:
        """The scope and its subject."""
        subject = budget.service or budget.token or budget.policy or budget.tag
        if budget.scope == BudgetScope.END_USER:
            subject = _("every end user") if budget.end_user == EVERY_END_USER else budget.end_user
        if not subject:
            return str(budget.get_scope_display())
        return format_html('{}<small class="tg-under">{}</small>', subject, budget.get_scope_display())

    @display(description=gettext_lazy("window"), ordering="window")
    def window_shown(self, budget: Budget) -> str:
        """How long it lasts."""
        return budget.window_words()

    @display(description=gettext_lazy("spent and held"))
    def gauge(self, budget: Any) -> str:
        """A bar, and the same in words."""
        states: list[BudgetState] | None = getattr(budget, "shown_states", None)
        more = _more_words(budget, states)
        row = next(iter(budget_rows(states[:1])), None) if states else None
        return render_to_string("console/budget_gauge.html", {"row": row, "more": more})

    @display(description=gettext_lazy("remaining"))
    def remaining(self, budget: Any) -> str:
        """Of the subject with the least left."""
        state = _first(budget)
        return money(budget.limit_usd if state is None else state.remaining_usd)

    @display(description=gettext_lazy("resets"))
    def resets(self, budget: Any) -> str:
        """On the organization's clock."""
        state = _first(budget)
        return local_time(state.ends_at, budget) or "—" if state is not None else "—"

    @display(description=gettext_lazy("runs out"))
    def runs_out(self, budget: Any) -> str:
        """At the pace so far."""
        state = _first(budget)
        return runs_out(state) or "—" if state is not None else "—"

    @display(description=gettext_lazy("state"), label={"on": "success", "off": "danger"}, ordering="enabled")
    def state(self, budget: Budget) -> tuple[str, str]:
        """Whether it counts."""
        return ("on", _("enabled")) if budget.enabled else ("off", _("disabled"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Whose budget it is stays: that would be another budget."""
        return ("organization", "scope", *_named(obj)) if obj is not None else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Later, only the subject that it has."""
        if obj is None:
            return self.shown_fieldsets(request, obj, self.fieldsets)
        title, _options = self.fieldsets[0]
        fieldsets = ((title, {"fields": ("organization", "scope", *_named(obj))}), *self.fieldsets[1:])
        return self.shown_fieldsets(request, obj, fieldsets)

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Budget:
        """Create it."""
        subject = Subject(values["scope"], **{name: values[name] for name in _SUBJECTS})
        others = {name: values[name] for name in ("window", "rolling_days", "limit_usd", "action", "alert_at")}
        return budget_create(
            organization=values["organization"], subject=subject, actor=request_actor(request), **others
        )

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> Budget:
        """Change its amount, window, action or alerts."""
        return budget_update(budget=row, actor=request_actor(request), **changes)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With gauges above the form; holds, alerts and adjustments below."""
        row = self.get_object(request, object_id)
        details = {} if row is None else self._details(row)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **details})

    def _details(self, budget: Budget) -> dict[str, Any]:
        states = sorted(budget_states([budget]), key=lambda state: state.percent, reverse=True)
        return {
            "budget_rows": budget_rows(states[:_STATES_SHOWN]),
            "budget_rows_more": max(len(states) - _STATES_SHOWN, 0),
            "holds": _holds(budget),
            "alerts": budget.alerts.prefetch_related("deliveries")[:_ALERTS_SHOWN],
            "adjustments": _adjustments(budget),
        }

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """By its state and scope."""
        hidden = {"enable" if row.enabled else "disable"}
        return hidden if _has_one_subject(row) else hidden | {"adjust"}

    def get_urls(self) -> list[URLPattern]:
        """And one to free a hold."""
        release = path(
            "<uuid:object_id>/holds/<uuid:request_key>/release/",
            self.admin_site.admin_view(self.release),
            name="policies_budget_release",
        )
        return [release, *super().get_urls()]

    def release(self, request: HttpRequest, object_id: UUID, request_key: UUID) -> HttpResponse:
        """Ask, then free what a call holds."""
        row = self.row_or_404(request, str(object_id))
        if not self.has_act_permission(request, object_id):
            raise PermissionDenied

        def perform(_values: dict[str, Any]) -> str:
            try:
                if all(hold.request_id != request_key for hold in holds(row.organization)):
                    return _("It holds nothing any more.")
                hold = hold_release(request=request_key, actor=request_actor(request))
            except redis.RedisError as error:
                raise ValidationError(_AWAY) from error
            if hold is None:
                return _("It holds nothing any more.")
            return _("%(usd)s USD are free again.") % {"usd": nano_text(hold.held_nano)}

        return self.ask(
            request,
            row,
            title=_("Release what %(request)s holds") % {"request": request_id(request_key)},
            sentence=_(
                "Other calls may use it at once. The call goes on, and what it costs is charged when it ends: a budget may "
                "be exceeded by that. A hold whose process died frees itself."
            ),
            button=_("Release"),
            danger=True,
            perform=perform,
        )

    @action(description=gettext_lazy("Adjust"), url_path="adjust", icon="balance")
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how much and why, then add it to the ledger."""
        row = self.row_or_404(request, object_id)

        def perform(values: dict[str, Any]) -> str:
            if not _has_one_subject(row):
                raise ValidationError(_("This budget has several holders: adjust for one of them under Adjustments."))
            adjustment_record(
                organization=row.organization,
                amount_usd=values["amount_usd"] or Decimal(0),
                reason=values["reason"],
                actor=request_actor(request),
                service=row.service,
                token=row.token,
                end_user=row.end_user,
                tags=[row.tag] if row.tag else [],
            )
            return _("The adjustment is in the ledger.")

        return self.ask(
            request,
            row,
            title=_("Adjust what %(budget)s has spent") % {"budget": row},
            sentence=_(
                "History stays as it is: the amount is added to the ledger, now, with its reason, and counts for every budget "
                "of the same subject and of the organization."
            ),
            button=_("Adjust"),
            form_class=AdjustForm,
            perform=perform,
        )

    disable = row_action(
        "disable",
        gettext_lazy("Disable"),
        icon="pause_circle",
        danger=True,
        does=lambda row, actor: budget_disable(budget=row, actor=actor),
        title=gettext_lazy("Disable %(name)s"),
        sentence=gettext_lazy(
            "It neither refuses calls nor alerts until you enable it. What is spent meanwhile counts then."
        ),
        done=gettext_lazy("The budget is disabled."),
    )

    enable = row_action(
        "enable",
        gettext_lazy("Enable"),
        icon="play_circle",
        does=lambda row, actor: budget_enable(budget=row, actor=actor),
        title=gettext_lazy("Enable %(name)s"),
        sentence=gettext_lazy("It counts again, with everything that was spent in its window."),
        done=gettext_lazy("The budget counts again."),
    )

    delete_budget = row_action(
        "delete_budget",
        gettext_lazy("Delete"),
        path="remove",
        icon="delete",
        danger=True,
        leaves=True,
        does=lambda row, actor: budget_delete(budget=row, actor=actor),
        title=gettext_lazy("Delete %(name)s"),
        sentence=gettext_lazy(
            "It bounds nothing any more, and its alerts go with it. What was spent stays in the ledger."
        ),
        done=gettext_lazy("The budget is deleted."),
    )


def _named(budget: Budget) -> tuple[str, ...]:
    """Which subject's field a budget has."""
    return (budget.scope,) if budget.scope in _SUBJECTS else ()


def _has_one_subject(budget: Budget) -> bool:
    return budget.scope != BudgetScope.POLICY and budget.end_user != EVERY_END_USER


def _is_added_up(budget: Any) -> bool:
    """Whether the list may ask for its state: not where that would mean to ask for very many."""
    if budget.scope == BudgetScope.POLICY:
        return bool(budget.holders <= _HOLDERS_COUNTED)
    return bool(budget.end_user != EVERY_END_USER)


def _with_states(budgets: Iterable[Any]) -> None:
    """Let budgets know their states: `shown_states`, the one with the least left first."""
    counted = [budget for budget in budgets if _is_added_up(budget)]
    states: dict[UUID, list[BudgetState]] = {budget.pk: [] for budget in counted}
    for state in budget_states(counted):
        states[state.budget.pk].append(state)
    for budget in counted:
        budget.shown_states = sorted(states[budget.pk], key=lambda state: state.percent, reverse=True)


def _first(budget: Any) -> BudgetState | None:
    states: list[BudgetState] = getattr(budget, "shown_states", [])
    return states[0] if states else None


def _more_words(budget: Any, states: list[BudgetState] | None) -> str:
    if states is None:
        return _("one for each: open it to see them")
    if budget.scope == BudgetScope.POLICY:
        if not states:
            return _("nobody holds the policy yet")
        return _("%(who)s; the one nearest its limit of %(count)d") % {"who": states[0].label, "count": len(states)}
    return ""


def _holds(budget: Budget) -> list[dict[str, Any]] | None:
    """What running calls hold of a budget, oldest first; None: the store cannot be asked."""
    try:
        found = holds(budget.organization)
    except redis.RedisError:
        return None
    mine = [hold for hold in found if any(budget.pk.hex in key.split(":") for key in hold.budgets)]
    return [
        {
            "request": request_id(hold.request_id),
            "usd": money_exact(Decimal(hold.held_nano).scaleb(-9)),
            "since": hold.since,
            "until": hold.lease_ends,
            "token": reverse("admin:services_token_change", args=(hold.token_id,)),
            "release": reverse("admin:policies_budget_release", args=(budget.pk, hold.request_id)),
        }
        for hold in mine[:_HOLDS_SHOWN]
    ]


def _adjustments(budget: Budget) -> "QuerySet[Adjustment]":
    """The corrections that count for a budget, newest first; of a policy's, those of its organization."""
    rows = Adjustment.objects.filter(organization_id=budget.organization_id)
    match budget.scope:
        case BudgetScope.SERVICE:
            rows = rows.filter(service=budget.service)
        case BudgetScope.TOKEN:
            rows = rows.filter(token=budget.token)
        case BudgetScope.TAG:
            rows = rows.filter(tags__contains=[budget.tag])
        case BudgetScope.END_USER if budget.end_user == EVERY_END_USER:
            rows = rows.exclude(end_user="")
        case BudgetScope.END_USER:
            rows = rows.filter(end_user=budget.end_user)
    return rows.order_by("-at")[:_ADJUSTMENTS_SHOWN]
