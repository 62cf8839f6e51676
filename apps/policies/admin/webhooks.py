"""The console's pages about webhooks: add, with one reveal of the secret; rotate, disable, delete."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, request_actor
from apps.core.theme import ActionVariant, AutocompleteSelectFilter, action, display
from apps.policies.actions.webhooks import (
    webhook_add,
    webhook_delete,
    webhook_disable,
    webhook_enable,
    webhook_rotate_secret,
)
from apps.policies.forms import WebhookForm
from apps.policies.models import Webhook


@admin.register(Webhook)
class WebhookAdmin(ConsoleAdmin):
    """Where organizations are told of alerts."""

    permission_read = "budgets.read"
    permission_write = "budgets.write"
    form = WebhookForm
    list_display = ("url", "organization", "state", "created_at")
    list_filter = (("organization", AutocompleteSelectFilter), "enabled")
    list_select_related = ("organization",)
    search_fields = ("url", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    fields = ("organization", "url", "state", "created_at")
    readonly_fields = ("state", "created_at")
    add_fieldsets = ((None, {"fields": ("organization", "url")}),)
    actions = None
    actions_detail = ("rotate", "disable", "enable", "delete_webhook")

    @display(description=gettext_lazy("state"), label={"on": "success", "off": "danger"}, ordering="enabled")
    def state(self, webhook: Webhook) -> tuple[str, str]:
        """Whether it is told."""
        return ("on", _("enabled")) if webhook.enabled else ("off", _("disabled"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: another URL is another webhook, with a secret of its own."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """None while adding."""
        return self.readonly_fields if obj is not None else ()

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Webhook:
        """Add it; its secret travels on the row to the one page that shows it, and nowhere else."""
        webhook, plaintext = webhook_add(
            organization=values["organization"], url=values["url"], actor=request_actor(request)
        )
        webhook.plaintext = plaintext  # type: ignore[attr-defined]  # for this request only
        return webhook

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that shows the secret."""
        return self._reveal(request, obj, obj.plaintext)

    def _reveal(self, request: HttpRequest, webhook: Webhook, plaintext: str) -> HttpResponse:
        return self.page(
            request,
            "console/reveal_webhook.html",
            title=_("Secret of %(url)s") % {"url": webhook},
            row=webhook,
            plaintext=plaintext,
        )

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Only what applies to its state."""
        hidden = "_enable" if self.row_or_404(request, object_id).enabled else "_disable"
        items = super().get_actions_detail(request, object_id)
        return [item for item in items if not item.action_name.endswith(hidden)]

    @action(description=gettext_lazy("Rotate secret"), url_path="rotate", icon="key")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then show a new secret once."""
        row = self.row_or_404(request, object_id)

        def perform(_values: dict[str, Any]) -> HttpResponse:
            return self._reveal(request, row, webhook_rotate_secret(webhook=row, actor=request_actor(request)))

        return self.ask(
            request,
            row,
            title=_("Rotate the secret of %(url)s") % {"url": row},
            sentence=_("Alerts are signed with the new secret from the next one on; the old one is forgotten at once."),
            button=_("Rotate secret"),
            perform=perform,
        )

    @action(description=gettext_lazy("Disable"), url_path="disable", icon="pause_circle", variant=ActionVariant.DANGER)
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then disable."""
        row = self.row_or_404(request, object_id)

        def perform(_values: dict[str, Any]) -> str:
            webhook_disable(webhook=row, actor=request_actor(request))
            return _("%(url)s is told nothing for now.") % {"url": row}

        return self.ask(
            request,
            row,
            title=_("Disable %(url)s") % {"url": row},
            sentence=_("It is told nothing until you enable it; what is on its way to it fails."),
            button=_("Disable"),
            danger=True,
            perform=perform,
        )

    @action(description=gettext_lazy("Enable"), url_path="enable", icon="play_circle")
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then enable."""
        row = self.row_or_404(request, object_id)

        def perform(_values: dict[str, Any]) -> str:
            webhook_enable(webhook=row, actor=request_actor(request))
            return _("%(url)s is told of alerts again.") % {"url": row}

        return self.ask(
            request,
            row,
            title=_("Enable %(url)s") % {"url": row},
            sentence=_("It is told of alerts from the next one on."),
            button=_("Enable"),
            perform=perform,
        )

    @action(description=gettext_lazy("Delete"), url_path="remove", icon="delete", variant=ActionVariant.DANGER)
    def delete_webhook(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then delete."""
        row = self.row_or_404(request, object_id)

        def perform(_values: dict[str, Any]) -> HttpResponse:
            webhook_delete(webhook=row, actor=request_actor(request))
            return self.gone(request, _("%(url)s is deleted.") % {"url": row})

        return self.ask(
            request,
            row,
            title=_("Delete %(url)s") % {"url": row},
            sentence=_("It is told nothing any more, and its secret is forgotten."),
            button=_("Delete"),
            danger=True,
            perform=perform,
        )
