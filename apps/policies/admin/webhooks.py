"""The console's pages about webhooks: add, with one reveal of the secret; rotate, disable, delete."""

from collections.abc import Collection, Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import AutocompleteSelectFilter, action, display
from apps.policies.actions.webhooks import (
    webhook_add,
    webhook_delete,
    webhook_disable,
    webhook_enable,
    webhook_rotate_secret,
)
from apps.policies.forms import WebhookForm
from apps.policies.models import Webhook


def _url(row: Webhook) -> Mapping[str, Any]:
    return {"url": row}


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

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """By its state."""
        return {"enable" if row.enabled else "disable"}

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

    disable = row_action(
        "disable",
        gettext_lazy("Disable"),
        icon="pause_circle",
        danger=True,
        does=lambda row, actor: webhook_disable(webhook=row, actor=actor),
        title=gettext_lazy("Disable %(url)s"),
        sentence=gettext_lazy("It is told nothing until you enable it; what is on its way to it fails."),
        done=gettext_lazy("%(url)s is told nothing for now."),
        words=_url,
    )

    enable = row_action(
        "enable",
        gettext_lazy("Enable"),
        icon="play_circle",
        does=lambda row, actor: webhook_enable(webhook=row, actor=actor),
        title=gettext_lazy("Enable %(url)s"),
        sentence=gettext_lazy("It is told of alerts from the next one on."),
        done=gettext_lazy("%(url)s is told of alerts again."),
        words=_url,
    )

    delete_webhook = row_action(
        "delete_webhook",
        gettext_lazy("Delete"),
        path="remove",
        icon="delete",
        danger=True,
        leaves=True,
        does=lambda row, actor: webhook_delete(webhook=row, actor=actor),
        title=gettext_lazy("Delete %(url)s"),
        sentence=gettext_lazy("It is told nothing any more, and its secret is forgotten."),
        done=gettext_lazy("%(url)s is deleted."),
        words=_url,
    )
