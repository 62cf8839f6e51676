"""The console's pages about services and their tokens."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, may, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import ActionVariant, AutocompleteSelectFilter, DropdownFilter, action, display
from apps.services.actions import (
    service_create,
    service_disable,
    service_enable,
    service_update,
    token_issue,
    token_revoke,
)
from apps.services.forms import TokenForm
from apps.services.models import Service, Token, TokenState

STATE_LABELS = {TokenState.LIVE: "success", TokenState.EXPIRED: "warning", TokenState.REVOKED: "danger"}


@admin.register(Service)
class ServiceAdmin(ConsoleAdmin):
    """Services: add, rename, disable; each with its tokens."""

    permission_read = "services.read"
    permission_write = "services.write"
    list_display = ("name", "organization", "state", "live_tokens", "last_used")
    list_filter = (("organization", AutocompleteSelectFilter),)
    list_select_related = ("organization",)
    ordering = ("name",)
    search_fields = ("name", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    fields = ("organization", "name")
    actions_detail = ("issue", "limits", "disable", "enable")
    change_form_after_template = "console/service_tokens.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what the list shows of the tokens."""
        tokens = Token.objects.filter(service=OuterRef("pk")).order_by().values("service")
        expired = Q(expires_at__lte=now())
        live = tokens.filter(revoked_at=None).exclude(expired).annotate(count=Count("pk")).values("count")
        # Of the rows that are shown alone: joined, the tokens of every service would be counted first.
        services = (
            super()
            .get_queryset(request)
            .annotate(
                live_token_count=Coalesce(Subquery(live), 0),
                used_at=Subquery(tokens.annotate(used=Max("last_used_at")).values("used")),
            )
        )
        return cast("QuerySet[Any]", services)

    @display(
        description=gettext_lazy("state"), label={"active": "success", "disabled": "danger"}, ordering="disabled_at"
    )
    def state(self, service: Service) -> tuple[str, str]:
        """Whether its tokens are accepted."""
        return ("disabled", _("disabled")) if service.disabled_at else ("active", _("active"))

    @display(description=gettext_lazy("live tokens"), ordering="live_token_count")
    def live_tokens(self, service: Any) -> int:
        """Neither revoked nor expired."""
        return int(service.live_token_count)

    @display(description=gettext_lazy("last used"), ordering="used_at")
    def last_used(self, service: Any) -> Any:
        """When a token of its was last accepted, to the minute."""
        return service.used_at

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A service stays with its organization."""
        return ("organization",) if obj is not None else ()

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Service:
        """Add a service."""
        return service_create(**values, actor=request_actor(request))

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> Service:
        """Rename it."""
        return service_update(service=row, name=changes.get("name", row.name), actor=request_actor(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the service's tokens below the form."""
        moment = now()
        row = self.get_object(request, object_id)
        tokens = Token.objects.filter(service=row)[:100] if row is not None else []
        shown = [
            {"token": token, "state": token.state(moment), "label": STATE_LABELS[token.state(moment)]}
            for token in tokens
        ]
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "shown_tokens": shown})

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """By its state."""
        return {"issue", "disable"} if row.disabled_at else {"enable"}

    def has_issue_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whoever may issue tokens."""
        return may(request, TokenAdmin.permission_write)

    @action(
        description=gettext_lazy("Issue token"),
        url_path="issue",
        icon="add",
        variant=ActionVariant.PRIMARY,
        takes="issue",
    )
    def issue(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """On to the form for a token, with this service chosen."""
        self.row_or_404(request, object_id)
        return HttpResponseRedirect(f"{reverse('admin:services_token_add')}?service={object_id}")

    @action(description=gettext_lazy("What limits it"), url_path="limits", icon="speed", takes="limits")
    def limits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """On to what limits its tokens."""
        self.row_or_404(request, object_id)
        return HttpResponseRedirect(reverse("admin:policies_policy_limits_here", args=("service", object_id)))

    disable = row_action(
        "disable",
        gettext_lazy("Disable"),
        icon="pause_circle",
        danger=True,
        does=lambda row, actor: service_disable(service=row, actor=actor),
        title=gettext_lazy("Disable %(name)s"),
        sentence=gettext_lazy(
            "All its tokens are refused from the next moment on, until you enable it. None is revoked."
        ),
        done=gettext_lazy("%(name)s is disabled."),
    )

    enable = row_action(
        "enable",
        gettext_lazy("Enable"),
        icon="play_circle",
        does=lambda row, actor: service_enable(service=row, actor=actor),
        title=gettext_lazy("Enable %(name)s"),
        sentence=gettext_lazy("Its tokens that are neither revoked nor expired are accepted again."),
        done=gettext_lazy("%(name)s is active again."),
    )


class StateFilter(DropdownFilter):
    """Which are live, expired or revoked."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Iterable[tuple[str, Any]]:
        """The states."""
        return TokenState.choices

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Token]) -> QuerySet[Token]:
        """Those in the chosen state now."""
        expired = Q(expires_at__lte=now())
        match self.value():
            case TokenState.LIVE:
                return queryset.filter(revoked_at=None).exclude(expired)
            case TokenState.EXPIRED:
                return queryset.filter(expired, revoked_at=None)
            case TokenState.REVOKED:
                return queryset.exclude(revoked_at=None)
        return queryset


@admin.register(Token)
class TokenAdmin(ConsoleAdmin):
    """Tokens: issue, with one reveal; revoke."""

    permission_read = "tokens.read"
    permission_write = "tokens.write"
    list_display = ("name", "shown", "service", "organization", "state", "expires_at", "last_used_at")
    list_filter = (
        StateFilter,
        ("service", AutocompleteSelectFilter),
        ("organization", AutocompleteSelectFilter),
    )
    list_select_related = ("service", "organization")
    search_fields = ("hint", "name", "service__name", "organization__name", "organization__slug")
    fields = (
        "name",
        "shown",
        "state",
        "service",
        "organization",
        "allowed",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "created_by",
        "created_at",
    )
    readonly_fields = ("shown", "state", "allowed")
    add_fieldsets = ((None, {"fields": ("service", "name", "lifetime", "scopes")}),)
    autocomplete_fields = ("service",)
    actions = ("revoke_selected",)
    actions_detail = ("limits", "revoke")

    @display(description=gettext_lazy("token"))
    def shown(self, token: Token) -> str:
        """What is left of it to show."""
        return token.masked

    @display(description=gettext_lazy("state"), label=STATE_LABELS)
    def state(self, token: Token) -> tuple[str, str]:
        """What it is worth now."""
        found = token.state(now())
        return found.value, str(found.label)

    @display(description=gettext_lazy("scopes"))
    def allowed(self, token: Token) -> str:
        """The endpoints it may call."""
        return ", ".join(token.scopes) or _("all endpoints")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """There is a form for new ones only."""
        if obj is None:
            kwargs["form"] = TokenForm
        return super().get_form(request, obj, change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """None while issuing."""
        return super().get_readonly_fields(request, obj) if obj is not None else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a token is revoked, and another issued."""
        return False

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Token:
        """Issue a token; its plaintext travels on the row to the one page that shows it, and nowhere else."""
        lifetime = values["lifetime"]
        token, plaintext = token_issue(
            service=values["service"],
            name=values["name"],
            expires_at=None if lifetime is None else now() + lifetime,
            scopes=values["scopes"],
            actor=request_actor(request),
        )
        token.plaintext = plaintext  # type: ignore[attr-defined]  # for this request only
        return token

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that shows the token."""
        return self.page(
            request,
            "console/reveal_token.html",
            title=_("Token %(name)s") % {"name": obj.name},
            row=obj,
            plaintext=obj.plaintext,
            base_url=f"{settings.PUBLIC_URL}/v1",
            allowed=self.allowed(obj),
        )

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """A revoked token cannot be revoked again."""
        return {"revoke"} if row.revoked_at is not None else ()

    @action(description=gettext_lazy("What limits it"), url_path="limits", icon="speed", takes="limits")
    def limits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """On to what limits this token."""
        self.row_or_404(request, object_id)
        return HttpResponseRedirect(reverse("admin:policies_policy_limits_here", args=("token", object_id)))

    revoke = row_action(
        "revoke",
        gettext_lazy("Revoke"),
        icon="block",
        danger=True,
        does=lambda row, actor: token_revoke(token=row, actor=actor),
        title=gettext_lazy("Revoke %(name)s"),
        sentence=gettext_lazy("It is refused within a second, everywhere and for good. Its requests stay on record."),
        done=gettext_lazy("%(name)s is revoked."),
        already=gettext_lazy("%(name)s was revoked already."),
        button=gettext_lazy("Revoke now"),
    )

    @admin.action(description=gettext_lazy("Revoke now"), permissions=["act"])
    def revoke_selected(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        """Revoke each that is not revoked yet."""
        actor = request_actor(request)
        self.each_selected(
            request,
            tokens,
            lambda token: token_revoke(token=token, actor=actor),
            _("Revoked %(done)d of %(of)d; the rest already were."),
        )
