"""The console's pages about management keys."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, ConsoleForm, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import CheckboxSelectMultiple, Select, display
from apps.orgs.access import access_of
from apps.orgs.keys.actions import key_issue, key_revoke
from apps.orgs.keys.models import KeyState, ManagementKey
from apps.orgs.roles import Permission

STATE_LABELS = {KeyState.LIVE: "success", KeyState.EXPIRED: "warning", KeyState.REVOKED: "danger"}
LIFETIMES = {
    "1": gettext_lazy("a day"),
    "7": gettext_lazy("a week"),
    "30": gettext_lazy("30 days"),
    "90": gettext_lazy("90 days"),
    "365": gettext_lazy("a year"),
    "": gettext_lazy("until it is revoked"),
}


class KeyForm(ConsoleForm):
    """What a new key is for, what it may do, from where, and for how long."""

    lifetime = forms.ChoiceField(
        choices=list(LIFETIMES.items()),
        label=gettext_lazy("Valid for"),
        initial="90",
        required=False,
        widget=Select(),
    )
    permissions = forms.MultipleChoiceField(
        choices=[(each.value, each.value) for each in Permission],
        label=gettext_lazy("Permissions"),
        widget=CheckboxSelectMultiple(),
    )

    class Meta:
        model = ManagementKey
        fields = ("organization", "name", "allowed_networks")
        help_texts = {"organization": gettext_lazy("Empty: the installation's key, which manages every organization.")}


@admin.register(ManagementKey)
class ManagementKeyAdmin(ConsoleAdmin):
    """Management keys: issue and revoke. A key's plaintext is shown on one page, once."""

    permission_read = "keys.read"
    permission_write = "keys.write"
    list_display = ("name", "hint_shown", "organization", "state", "last_used_at", "expires_at", "created_by")
    list_select_related = ("organization", "created_by")
    search_fields = ("name", "hint", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    fields = ("organization", "name", "permissions", "allowed_networks", "lifetime")
    readonly_fields = (
        "organization",
        "name",
        "hint_shown",
        "state",
        "permissions_shown",
        "networks_shown",
        "created_at",
        "created_by",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    actions_detail = ("revoke",)

    @display(description=gettext_lazy("key"), ordering="hint")
    def hint_shown(self, key: ManagementKey) -> str:
        """Its beginning and its last characters."""
        return key.masked

    @display(description=gettext_lazy("state"), label={each.value: label for each, label in STATE_LABELS.items()})
    def state(self, key: ManagementKey) -> tuple[str, str]:
        """What it is worth now."""
        found = key.state(now())
        return found.value, str(found.label)

    @display(description=gettext_lazy("permissions"))
    def permissions_shown(self, key: ManagementKey) -> str:
        """What it may do."""
        return ", ".join(key.permissions)

    @display(description=gettext_lazy("allowed networks"))
    def networks_shown(self, key: ManagementKey) -> str:
        """Where it may be used from."""
        return ", ".join(key.allowed_networks) or _("anywhere")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """There is a form for new ones only."""
        if obj is None:
            kwargs["form"] = KeyForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What is asked of a new one, or shown of one there is."""
        return self.fields if obj is None else self.readonly_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """None while issuing."""
        return super().get_readonly_fields(request, obj) if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a key is revoked, and another issued."""
        return False

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> ManagementKey:
        """Issue a key; its plaintext travels on the row to the one page that shows it, and nowhere else."""
        access = access_of(request)
        days = values["lifetime"]
        own = None if access is None else access.organization
        key, plaintext = key_issue(
            organization=own or values.get("organization"),
            name=values["name"],
            permissions=values["permissions"],
            most=frozenset(each for each in Permission if access is not None and access.may(each)),
            allowed_networks=values["allowed_networks"],
            expires_at=None if not days else now() + timedelta(days=int(days)),
            actor=request_actor(request),
        )
        key.plaintext = plaintext  # type: ignore[attr-defined]  # for this request only
        return key

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that shows the key."""
        return self.page(
            request,
            "console/reveal_key.html",
            title=_("Management key %(name)s") % {"name": obj.name},
            row=obj,
            plaintext=obj.plaintext,
            base_url=f"{settings.PUBLIC_URL}/api",
        )

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """A revoked key cannot be revoked again."""
        return {"revoke"} if row.revoked_at is not None else ()

    revoke = row_action(
        "revoke",
        gettext_lazy("Revoke"),
        icon="block",
        danger=True,
        does=lambda row, actor: key_revoke(key=row, actor=actor),
        title=gettext_lazy("Revoke %(name)s"),
        sentence=gettext_lazy("It is refused from now on, for good. What it did stays on record."),
        done=gettext_lazy("%(name)s is revoked."),
        already=gettext_lazy("%(name)s was revoked already."),
        button=gettext_lazy("Revoke now"),
    )
