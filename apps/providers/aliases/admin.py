"""The console's pages about aliases."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import AutocompleteSelectFilter, ChoicesDropdownFilter, display
from apps.providers.aliases.actions import alias_add, alias_remove, alias_update
from apps.providers.aliases.forms import AliasForm
from apps.providers.aliases.models import Alias
from apps.providers.aliases.selectors import alias_remarks

_TARGETS_SHOWN = 3


@admin.register(Alias)
class AliasAdmin(ConsoleAdmin):
    """Aliases: add, change, disable, remove."""

    permission_read = "models.read"
    permission_write = "models.write"
    shows_hosted = True
    form = AliasForm
    list_display = ("name", "owner", "strategy", "stands_for", "state")
    list_filter = (
        ("organization", AutocompleteSelectFilter),
        ("strategy", ChoicesDropdownFilter),
        "enabled",
    )
    list_select_related = ("organization",)
    ordering = ("name",)
    search_fields = ("name", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    fields = ("name", "organization", "strategy", "targets", "enabled")
    actions_detail = ("remove",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With their targets."""
        return super().get_queryset(request).prefetch_related("targets")

    @display(description=gettext_lazy("offered to"), ordering="organization")
    def owner(self, alias: Alias) -> str:
        """The organization, or everybody."""
        return str(alias.organization) if alias.organization is not None else _("everybody")

    @display(description=gettext_lazy("stands for"))
    def stands_for(self, alias: Alias) -> str:
        """The first of its targets."""
        names = [target.model for target in alias.targets.all()]
        return ", ".join(names[:_TARGETS_SHOWN]) + (" …" if len(names) > _TARGETS_SHOWN else "")

    @display(description=gettext_lazy("state"), label={"on": "success", "off": "danger"}, ordering="enabled")
    def state(self, alias: Alias) -> tuple[str, str]:
        """Whether it stands for anything."""
        return ("on", _("enabled")) if alias.enabled else ("off", _("disabled"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A new one is enabled. Who may only look sees what it stands for in a row."""
        if obj is not None and not self.has_change_permission(request, obj):
            return ("name", "owner", "strategy", "stands_for", "enabled")
        return self.fields if obj is not None else tuple(name for name in self.fields if name != "enabled")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """An alias stays with its organization."""
        return ("organization", "owner", "stands_for") if obj is not None else ()

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Alias:
        """Add it."""
        return alias_add(**values, actor=request_actor(request))

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> Alias:
        """Change it."""
        return alias_update(alias=row, actor=request_actor(request), **changes)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Saying what may not have been meant."""
        self._remark(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Saying what may not have been meant."""
        self._remark(request, obj)
        return super().response_change(request, obj)

    def _remark(self, request: HttpRequest, alias: Alias) -> None:
        for remark in alias_remarks(alias):
            messages.warning(request, remark)

    remove = row_action(
        "remove",
        gettext_lazy("Remove"),
        icon="delete",
        danger=True,
        leaves=True,
        does=lambda row, actor: alias_remove(alias=row, actor=actor),
        title=gettext_lazy("Remove %(alias)s"),
        sentence=gettext_lazy(
            "The name means again what it meant without the alias: a model of this name, or nothing."
        ),
        done=gettext_lazy("%(alias)s stands for nothing any more."),
        words=lambda row: {"alias": row},
    )
