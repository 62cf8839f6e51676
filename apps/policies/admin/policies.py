"""The console's pages about policies: edit, attach, detach, preview; and, from limits.py, what limits a token."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.core.console import ConsoleAdmin, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import ActionVariant, AutocompleteSelectFilter, action, display
from apps.policies.actions.policies import policy_attach, policy_create, policy_delete, policy_update
from apps.policies.admin.limits import LimitsPages, limits_url
from apps.policies.admin.words import summary
from apps.policies.forms import EMPTY_IS_NOT_ZERO, RULE_GROUPS, RULE_NAMES, PolicyForm, attach_form, preview_form
from apps.policies.models import Attachment, Layer, Policy
from apps.policies.selectors.policies import attachments_of

_ATTACHMENTS_SHOWN = 100


@admin.register(Policy)
class PolicyAdmin(LimitsPages, ConsoleAdmin):
    """Policies with a name. The own rules of one place are edited where they hold."""

    permission_read = "policies.read"
    permission_write = "policies.write"
    shows_hosted = True
    form = PolicyForm
    list_display = ("name", "owner", "attached", "says", "updated_at")
    list_filter = (("organization", AutocompleteSelectFilter),)
    list_select_related = ("organization", "pinned_credential")
    list_fullwidth = True
    ordering = ("name",)
    search_fields = ("name", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("organization", "name"), "description": EMPTY_IS_NOT_ZERO}),
        *((title, {"fields": names}) for title, names in RULE_GROUPS),
    )
    change_form_outer_after_template = "console/policy_attachments.html"
    actions = None
    actions_list = ("installation",)
    actions_detail = ("preview", "attach", "delete_policy")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """Those with a name, and how often each is attached."""
        policies = super().get_queryset(request).exclude(name="")
        counts = {
            f"at_{layer}": Count("attachments", filter=Q(attachments__layer=layer), distinct=True)
            for layer in Layer.values
        }
        return cast("QuerySet[Any]", policies.annotate(**counts))

    @display(description=gettext_lazy("of"), ordering="organization")
    def owner(self, policy: Policy) -> str:
        """The organization, or the installation."""
        return str(policy.organization) if policy.organization is not None else _("the installation")

    @display(description=gettext_lazy("attached to"))
    def attached(self, policy: Any) -> str:
        """To how many places of each kind."""
        parts = []
        if policy.at_installation:
            parts.append(_("the installation"))
        if policy.at_organization:
            parts.append(_("the organization"))
        if policy.at_service:
            parts.append(
                ngettext("%(count)d service", "%(count)d services", policy.at_service) % {"count": policy.at_service}
            )
        if policy.at_token:
            parts.append(ngettext("%(count)d token", "%(count)d tokens", policy.at_token) % {"count": policy.at_token})
        return ", ".join(parts) or _("nothing")

    @display(description=gettext_lazy("says"))
    def says(self, policy: Policy) -> str:
        """Everything it sets, on one line."""
        return summary(policy)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A policy stays with its organization."""
        return ("organization",) if obj is not None else ()

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Policy:
        """Create it."""
        fields = {name: values[name] for name in RULE_NAMES}
        return policy_create(
            organization=values["organization"], name=values["name"], fields=fields, actor=request_actor(request)
        )

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> Policy:
        """Change what it says."""
        return policy_update(policy=row, fields=changes, actor=request_actor(request))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """On to attaching it: until then it holds nowhere."""
        messages.success(request, _("%(name)s is there. It holds nowhere until you attach it.") % {"name": obj})
        return HttpResponseRedirect(reverse("admin:policies_policy_attach", args=(obj.pk,)))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With where it is attached, and the budgets of its holders, below the form."""
        row = self.get_object(request, object_id)
        attachments = attachments_of(row) if row is not None else []
        budgets = row.budgets.select_related("organization", "policy") if row is not None else []
        extra = {
            "attachments": [_attached_row(each) for each in attachments[:_ATTACHMENTS_SHOWN]],
            "attachments_more": max(len(attachments) - _ATTACHMENTS_SHOWN, 0),
            "policy_budgets": budgets,
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})

    @action(description=gettext_lazy("Installation's rules"), url_path="installation", icon="public", takes="look")
    def installation(self, request: HttpRequest) -> HttpResponse:
        """What holds for every organization."""
        return HttpResponseRedirect(limits_url(Layer.INSTALLATION, None))

    @action(description=gettext_lazy("Attach"), url_path="attach", icon="link", variant=ActionVariant.PRIMARY)
    def attach(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask where, then let it hold there."""
        row = self.row_or_404(request, object_id)

        def perform(values: dict[str, Any]) -> str:
            layer = values["layer"]
            place = {"service": values.get("service"), "token": values.get("token")}
            target = {layer: row.organization if layer == Layer.ORGANIZATION else place.get(layer)}
            former = policy_attach(
                policy=row, layer=layer, actor=request_actor(request), **({} if layer == Layer.INSTALLATION else target)
            )
            if former is not None:
                return _("%(name)s holds there now, instead of %(former)s.") % {"name": row, "former": former}
            return _("%(name)s holds there now.") % {"name": row}

        return self.ask(
            request,
            row,
            title=_("Attach %(name)s") % {"name": row},
            sentence=_(
                "It holds from the next second on, for everything below that place. A policy that is attached there already "
                "gives way to it; the place's own rules stay, and come first."
            ),
            button=_("Attach"),
            form_class=attach_form(row),
            perform=perform,
        )

    @action(description=gettext_lazy("Preview"), url_path="preview", icon="visibility", takes="look")
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for which token, then show what would limit it."""
        row = self.row_or_404(request, object_id)

        def perform(values: dict[str, Any]) -> HttpResponse:
            url = limits_url(Layer.TOKEN, values["token"])
            return HttpResponseRedirect(f"{url}?{urlencode({'as_if': row.pk})}")

        return self.ask(
            request,
            row,
            title=_("Preview %(name)s") % {"name": row},
            sentence=_("Shows what would limit a token if this policy were attached to it. Nothing is changed."),
            button=_("Show"),
            form_class=preview_form(row),
            perform=perform,
        )

    # While it is in use, the action refuses and says where.
    delete_policy = row_action(
        "delete_policy",
        gettext_lazy("Delete"),
        path="remove",
        icon="delete",
        danger=True,
        leaves=True,
        does=lambda row, actor: policy_delete(policy=row, actor=actor),
        title=gettext_lazy("Delete %(name)s"),
        sentence=gettext_lazy("Only a policy that is attached nowhere, and on which no budget hangs, can go."),
        done=gettext_lazy("%(name)s is deleted."),
    )


def _attached_row(attachment: Attachment) -> dict[str, Any]:
    target = attachment.token or attachment.service or attachment.organization
    return {
        "layer": attachment.get_layer_display(),
        "target": target if target is not None else _("every organization"),
        "limits": limits_url(attachment.layer, target),
        "detach": limits_url(attachment.layer, target, "detach"),
    }
