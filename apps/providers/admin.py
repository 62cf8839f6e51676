"""The console's pages about credentials and models."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.core.console import ConsoleAdmin, own_organization, request_actor
from apps.core.rowactions import row_action
from apps.core.theme import ActionVariant, AutocompleteSelectFilter, ChoicesDropdownFilter, action, display
from apps.providers.actions import (
    TIMEOUTS,
    credential_add,
    credential_disable,
    credential_drain,
    credential_enable,
    credential_rotate_secret,
    credential_test,
    credential_undrain,
    credential_update,
    model_add,
    model_remove,
    model_update,
    models_import,
)
from apps.providers.aliases.admin import AliasAdmin
from apps.providers.forms import CredentialAddForm, CredentialChangeForm, SecretForm
from apps.providers.health.admin import credential_health
from apps.providers.kinds import kind_of
from apps.providers.listing.selectors import listing_text
from apps.providers.models import Credential, ProviderModel
from apps.providers.prices.admin import model_prices
from apps.providers.probe import models_url

__all__ = ["AliasAdmin", "CredentialAdmin", "ProviderModelAdmin"]

ON_OFF = {"on": "success", "off": "danger"}


def _on_off(row: Credential | ProviderModel) -> tuple[str, str]:
    return ("on", _("enabled")) if row.enabled else ("off", _("disabled"))


def _owner(row: Credential | ProviderModel) -> str:
    return str(row.organization) if row.organization is not None else _("everybody")


@admin.register(Credential)
class CredentialAdmin(ConsoleAdmin):
    """Credentials: add, test with a live call, rotate the secret, import models, disable."""

    permission_read = "credentials.read"
    permission_write = "credentials.write"
    shows_hosted = True
    hosted_hides = ("base_url", "secret_ends", "listed")
    form = CredentialChangeForm
    list_display = (
        "label",
        "provider",
        "owner",
        "calls",
        "secret_ends",
        "priority",
        "model_count",
        "listed",
        "state",
    )
    list_filter = (
        ("provider", ChoicesDropdownFilter),
        ("organization", AutocompleteSelectFilter),
        "enabled",
        ("drained_at", admin.EmptyFieldListFilter),
        ("refused_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("organization", "listing")
    ordering = ("label",)
    search_fields = ("label", "base_url", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    readonly_fields = ("owner", "secret_ends", "listed", "drained_at", "created_at", "updated_at")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "label",
                    "provider",
                    "owner",
                    "base_url",
                    "secret",
                    "secret_ends",
                    "api_version",
                    "priority",
                    "weight",
                    "listed",
                )
            },
        ),
        (gettext_lazy("Timeouts"), {"fields": TIMEOUTS, "classes": ("collapse",)}),
        (gettext_lazy("History"), {"fields": ("drained_at", "created_at", "updated_at"), "classes": ("collapse",)}),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "provider",
                    "label",
                    "organization",
                    "base_url",
                    "secret",
                    "api_version",
                    "priority",
                    "weight",
                )
            },
        ),
        (gettext_lazy("Timeouts"), {"fields": TIMEOUTS, "classes": ("collapse",)}),
    )
    change_form_outer_after_template = "console/credential_health.html"
    actions_detail = ("test", "rotate", "import_models", "drain", "undrain", "disable", "enable")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of models of its own, counted for the rows that are shown."""
        own = ProviderModel.objects.filter(credential=OuterRef("pk")).order_by().values("credential")
        counted = Coalesce(Subquery(own.annotate(count=Count("pk")).values("count")), 0)
        hides: Any = Q(organization=None) if own_organization(request) is not None else Value(False)
        return cast("QuerySet[Any]", super().get_queryset(request).annotate(own_models=counted, hides=hides))

    def get_search_fields(self, request: HttpRequest) -> Any:
        """By what who asks may see."""
        found = super().get_search_fields(request)
        return found if own_organization(request) is None else [name for name in found if name != "base_url"]

    @display(description=gettext_lazy("base URL"), ordering="base_url")
    def calls(self, credential: Any) -> str:
        """Where it calls; whose is the installation's, that is the installation's affair."""
        return "—" if credential.hides else credential.base_url

    @display(description=gettext_lazy("offered to"), ordering="organization")
    def owner(self, credential: Credential) -> str:
        """The organization, or everybody."""
        return _owner(credential)

    @display(description=gettext_lazy("stored secret"))
    def secret_ends(self, credential: Any) -> str:
        """All that is shown of the secret."""
        if credential.hides:
            return "—"
        if credential.sealed_secret is None:
            return _("none")
        return f"…{credential.secret_hint}" if credential.secret_hint else _("set")

    @display(description=gettext_lazy("own models"))
    def model_count(self, credential: Any) -> int:
        """Models that it alone serves."""
        return int(credential.own_models)

    @display(description=gettext_lazy("provider lists"))
    def listed(self, credential: Any) -> str:
        """How many models its provider has told of, and when; or why it has not."""
        return "—" if credential.hides else listing_text(credential)

    @display(
        description=gettext_lazy("state"),
        label={**ON_OFF, "drained": "warning", "refused": "danger"},
        ordering="enabled",
    )
    def state(self, credential: Credential) -> tuple[str, str]:
        """Whether it is asked, and whether its provider takes it."""
        if credential.enabled and credential.refused_at is not None:
            return "refused", _("refused (%(status)s)") % {"status": credential.refused_status}
        if credential.enabled and credential.drained_at is not None:
            return "drained", _("drained")
        return _on_off(credential)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Adding asks for provider and owner, which stay."""
        if obj is None:
            kwargs["form"] = CredentialAddForm
        return super().get_form(request, obj, change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Provider and owner stay what they were."""
        return (*self.readonly_fields, "provider") if obj is not None else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With how it fares, below the form: one's own. What others have asked of the installation's is not told."""
        row = self.get_object(request, object_id)
        health = {} if row is None or row.hides else {"fares": True, **credential_health(row)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **health})

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Credential:
        """Add a credential."""
        return credential_add(**values, actor=request_actor(request))

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> Credential:
        """Change its settings."""
        return credential_update(credential=row, actor=request_actor(request), **changes)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """On to the test: a credential is worth what a call with it shows."""
        return HttpResponse(status=302, headers={"Location": f"{self.row_url(obj).removesuffix('change/')}test/"})

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """By its state and provider."""
        hidden = {"enable" if row.enabled else "disable", "undrain" if row.drained_at is None else "drain"}
        return hidden if kind_of(row.provider).lists_what_can_be_called else hidden | {"import_models"}

    @action(description=gettext_lazy("Test"), url_path="test", icon="network_check", variant=ActionVariant.PRIMARY)
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say what will be called, then call it and show how it went."""
        row = self.row_or_404(request, object_id)
        result = credential_test(credential=row) if request.method == "POST" else None
        return self.page(
            request,
            "console/credential_test.html",
            title=_("Test %(name)s") % {"name": row},
            row=row,
            url=models_url(row),
            result=result,
            models_shown=result.models[:60] if result else (),
            models_more=max(len(result.models) - 60, 0) if result else 0,
        )

    @action(description=gettext_lazy("Rotate secret"), url_path="rotate", icon="key")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the new secret, then replace the old one."""
        row = self.row_or_404(request, object_id)

        def perform(values: dict[str, Any]) -> str:
            credential_rotate_secret(credential=row, secret=values["secret"], actor=request_actor(request))
            return _("The secret of %(name)s is replaced.") % {"name": row}

        return self.ask(
            request,
            row,
            title=_("Rotate the secret of %(name)s") % {"name": row},
            sentence=_(
                "New calls use the new secret at once; calls under way end with the old one. Revoke the old one at the "
                "provider afterwards. The secret goes to %(url)s."
            )
            % {"url": row.base_url},
            button=_("Rotate secret"),
            form_class=SecretForm,
            perform=perform,
        )

    @action(description=gettext_lazy("Import models"), url_path="import", icon="download")
    def import_models(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then list what the provider lists."""
        row = self.row_or_404(request, object_id)

        def perform(_values: dict[str, Any]) -> str:
            added = models_import(credential=row, actor=request_actor(request))
            if not added:
                return _("Nothing to add: every model it lists is listed here already.")
            return ngettext("Added %(count)d model.", "Added %(count)d models.", len(added)) % {"count": len(added)}

        return self.ask(
            request,
            row,
            title=_("Import models from %(name)s") % {"name": row},
            sentence=_("%(url)s is asked for its models. Those not listed here yet are added, served by it alone.")
            % {"url": models_url(row)},
            button=_("Import"),
            perform=perform,
        )

    drain = row_action(
        "drain",
        gettext_lazy("Drain"),
        icon="water_drop",
        does=lambda row, actor: credential_drain(credential=row, actor=actor),
        title=gettext_lazy("Drain %(name)s"),
        sentence=gettext_lazy(
            "It gets no new calls. Calls under way are finished, and what was made with it (files, batches, stored "
            "responses) can still be reached."
        ),
        done=gettext_lazy("%(name)s gets no new calls."),
    )

    undrain = row_action(
        "undrain",
        gettext_lazy("End draining"),
        icon="water_drop",
        does=lambda row, actor: credential_undrain(credential=row, actor=actor),
        title=gettext_lazy("Give %(name)s calls again"),
        sentence=gettext_lazy("The gateway asks it again, in the order of its priority."),
        done=gettext_lazy("%(name)s gets calls again."),
    )

    disable = row_action(
        "disable",
        gettext_lazy("Disable"),
        icon="pause_circle",
        danger=True,
        does=lambda row, actor: credential_disable(credential=row, actor=actor),
        title=gettext_lazy("Disable %(name)s"),
        sentence=gettext_lazy("The gateway asks it no more. Calls under way are finished."),
        done=gettext_lazy("%(name)s is disabled."),
    )

    enable = row_action(
        "enable",
        gettext_lazy("Enable"),
        icon="play_circle",
        does=lambda row, actor: credential_enable(credential=row, actor=actor),
        title=gettext_lazy("Enable %(name)s"),
        sentence=gettext_lazy("The gateway asks it again, in the order of its priority."),
        done=gettext_lazy("%(name)s is enabled."),
    )


@admin.register(ProviderModel)
class ProviderModelAdmin(ConsoleAdmin):
    """Models: add, rename, disable, remove; import them from a credential's page."""

    permission_read = "models.read"
    permission_write = "models.write"
    shows_hosted = True
    list_display = ("name", "provider", "kind", "owner", "served_by", "state")
    list_filter = (
        ("provider", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("organization", AutocompleteSelectFilter),
        "enabled",
    )
    list_select_related = ("organization", "credential")
    search_fields = ("name", "upstream_name")
    autocomplete_fields = ("organization", "credential")
    fields = ("name", "provider", "kind", "organization", "credential", "upstream_name", "priced_as", "enabled")
    change_form_outer_after_template = "console/model_prices.html"
    actions = ("enable_selected", "disable_selected")
    actions_detail = ("remove",)

    @display(description=gettext_lazy("offered to"), ordering="organization")
    def owner(self, model: ProviderModel) -> str:
        """The organization, or everybody."""
        return _owner(model)

    @display(description=gettext_lazy("served by"), ordering="credential")
    def served_by(self, model: ProviderModel) -> str:
        """The one credential, or any of the provider's."""
        return model.credential.label if model.credential is not None else _("any of the provider's")

    @display(description=gettext_lazy("state"), label=ON_OFF, ordering="enabled")
    def state(self, model: ProviderModel) -> tuple[str, str]:
        """Whether it is offered."""
        return _on_off(model)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A new one is enabled."""
        return self.fields if obj is not None else tuple(name for name in self.fields if name != "enabled")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A model stays with its provider and organization."""
        return ("provider", "organization") if obj is not None else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With what the model costs, and cost, below the form."""
        row = self.get_object(request, object_id)
        prices = {} if row is None else model_prices(row)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **prices})

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> ProviderModel:
        """List a model."""
        return model_add(**values, actor=request_actor(request))

    def perform_change(self, request: HttpRequest, row: Any, changes: Mapping[str, Any]) -> ProviderModel:
        """Change how it is offered."""
        return model_update(model=row, actor=request_actor(request), **changes)

    remove = row_action(
        "remove",
        gettext_lazy("Remove"),
        icon="delete",
        danger=True,
        leaves=True,
        does=lambda row, actor: model_remove(model=row, actor=actor),
        title=gettext_lazy("Remove %(model)s"),
        sentence=gettext_lazy("Requests for it are refused as for an unknown model. Its past requests stay on record."),
        done=gettext_lazy("%(model)s is no longer listed."),
        words=lambda row: {"model": row},
    )

    @admin.action(description=gettext_lazy("Enable"))
    def enable_selected(self, request: HttpRequest, models: QuerySet[ProviderModel]) -> None:
        """Offer each."""
        self._switch_selected(
            request, models, enabled=True, done=_("Enabled %(done)d of %(of)d; the rest already were.")
        )

    @admin.action(description=gettext_lazy("Disable"))
    def disable_selected(self, request: HttpRequest, models: QuerySet[ProviderModel]) -> None:
        """Offer none of them any more."""
        done = _("Disabled %(done)d of %(of)d; the rest already were.")
        self._switch_selected(request, models, enabled=False, done=done)

    def _switch_selected(
        self, request: HttpRequest, models: QuerySet[ProviderModel], *, enabled: bool, done: str
    ) -> None:
        actor = request_actor(request)

        def switch(model: ProviderModel) -> bool:
            if model.enabled == enabled:
                return False
            model_update(model=model, actor=actor, enabled=enabled)
            return True

        self.each_selected(request, models, switch, done)
