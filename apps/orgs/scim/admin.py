"""The console's pages about the directory: its tokens, and which role its groups give."""

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import display
from apps.orgs.scim.actions import directory_group_role, directory_token_issue, directory_token_revoke
from apps.orgs.scim.models import DirectoryGroup, DirectoryToken
from apps.orgs.scim.resources import BASE


@admin.register(DirectoryToken)
class DirectoryTokenAdmin(ConsoleAdmin):
    """Directory tokens: issue and revoke. A token's plaintext is shown on one page, once."""

    permission_read = "keys.read"
    permission_write = "organization.write"  # owners: a directory ends memberships, theirs too
    list_display = ("name", "shown", "organization", "state", "last_used_at", "created_at")
    list_select_related = ("organization",)
    search_fields = ("name", "hint", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    fields = ("organization", "name", "shown", "created_at", "last_used_at", "revoked_at")
    readonly_fields = fields
    add_fieldsets = ((None, {"fields": ("organization", "name")}),)
    actions = None
    actions_detail = ("revoke",)

    @display(description=gettext_lazy("token"), ordering="hint")
    def shown(self, token: DirectoryToken) -> str:
        """Its beginning and its last characters."""
        return token.masked

    @display(description=gettext_lazy("state"), label={"live": "success", "revoked": "danger"}, ordering="revoked_at")
    def state(self, token: DirectoryToken) -> tuple[str, str]:
        """Whether it is accepted."""
        return ("revoked", _("revoked")) if token.revoked_at else ("live", _("live"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """None while issuing."""
        return self.readonly_fields if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a token is revoked, and another issued."""
        return False

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> DirectoryToken:
        """Issue a token; its plaintext travels on the row to the one page that shows it, and nowhere else."""
        token, plaintext = directory_token_issue(
            organization=values["organization"], name=values["name"], actor=request_actor(request)
        )
        token.plaintext = plaintext  # type: ignore[attr-defined]  # for this request only
        return token

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that shows the token."""
        return self.page(
            request,
            "console/reveal_directory_token.html",
            title=_("Directory token %(name)s") % {"name": obj.name},
            row=obj,
            plaintext=obj.plaintext,
            base_url=f"{settings.PUBLIC_URL}{BASE}",
        )

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """A revoked token cannot be revoked again."""
        return {"revoke"} if row.revoked_at is not None else ()

    revoke = row_action(
        "revoke",
        gettext_lazy("Revoke"),
        icon="block",
        danger=True,
        does=lambda row, actor: directory_token_revoke(token=row, actor=actor),
        title=gettext_lazy("Revoke %(name)s"),
        sentence=gettext_lazy(
            "The directory that calls with it is refused from now on. The people that it has brought stay."
        ),
        done=gettext_lazy("%(name)s is revoked."),
        already=gettext_lazy("%(name)s was revoked already."),
        button=gettext_lazy("Revoke now"),
    )


@admin.register(DirectoryGroup)
class DirectoryGroupAdmin(ConsoleAdmin):
    """The directory's groups, and the role that each gives."""

    permission_read = "members.read"
    permission_write = "members.write"
    list_display = ("display_name", "organization", "role", "created_at", "updated_at")
    list_filter = ("role",)
    list_select_related = ("organization",)
    search_fields = ("display_name",)
    fields = ("organization", "display_name", "role", "people", "created_at", "updated_at")
    readonly_fields = ("organization", "display_name", "people", "created_at", "updated_at")
    actions = None

    @display(description=gettext_lazy("members"))
    def people(self, group: DirectoryGroup) -> str:
        """Who is in it."""
        return ", ".join(group.members.order_by("email").values_list("email", flat=True)[:100]) or "—"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: the directory says which groups there are."""
        return False

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> DirectoryGroup:
        """Change the role that it gives."""
        return directory_group_role(group=row, role=changes.get("role", row.role), actor=request_actor(request))
