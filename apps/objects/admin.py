"""The console's page about objects: what services keep with providers. Read only."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ReadOnlyAdmin
from apps.core.theme import AutocompleteSelectFilter, ChoicesDropdownFilter, display
from apps.objects.models import OwnedObject


@admin.register(OwnedObject)
class OwnedObjectAdmin(ReadOnlyAdmin):
    """Files, batches and responses, newest first."""

    permission_read = "records.read"
    list_display = ("made", "kind", "upstream_id", "service", "credential", "model", "state")
    list_display_links = ("made", "upstream_id")
    list_select_related = ("service", "credential")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("organization", AutocompleteSelectFilter),
        ("service", AutocompleteSelectFilter),
        ("credential", AutocompleteSelectFilter),
    )
    search_fields = ("upstream_id",)
    search_help_text = gettext_lazy("A provider's id (file-…, batch_…, resp_…), in full")
    sortable_by = ()  # newest first: any other order would read every row
    ordering = ("-id",)
    list_fullwidth = True
    actions = None
    fieldsets = (
        (None, {"fields": ("upstream_id", "kind", "state", "organization", "service", "token", "credential", "model")}),
        (gettext_lazy("Calls"), {"fields": ("end_user", "tags", "record_id")}),
        (gettext_lazy("History"), {"fields": ("created_at", "checked_at", "deleted_at")}),
        (gettext_lazy("As the provider shows it"), {"fields": ("shown",), "classes": ("collapse",)}),
    )

    @display(description=gettext_lazy("time (UTC)"))
    def made(self, row: OwnedObject) -> str:
        """When it was made."""
        return f"{row.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("state"), label={"kept": "success", "awaited": "info", "deleted": "warning"})
    def state(self, row: OwnedObject) -> tuple[str, str]:
        """Whether it is there, and whether what it costs is known."""
        if row.deleted_at is not None:
            return "deleted", _("deleted")
        if row.awaited:
            return "awaited", _("under way")
        return "kept", str(row.facts.get("status") or _("kept"))

    @display(description=gettext_lazy("facts"))
    def shown(self, row: OwnedObject) -> str:
        """The provider's own words."""
        return format_html("<pre>{}</pre>", json.dumps(row.facts, indent=2, ensure_ascii=False))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OwnedObject], search_term: str
    ) -> tuple[QuerySet[OwnedObject], bool]:
        """By the whole id, which an index finds."""
        term = search_term.strip()
        return (queryset.filter(upstream_id=term) if term else queryset), False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """All of them."""
        return ("state", "shown", *(field.name for field in OwnedObject._meta.fields))
