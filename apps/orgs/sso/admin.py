"""The console's page about identities: who is connected with what, and disconnecting."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ReadOnlyAdmin, request_actor
from apps.core.theme import ActionVariant, action
from apps.orgs.sso.actions import identity_disconnect
from apps.orgs.sso.models import Identity


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin):
    """Which account at the identity provider signs in whom. People connect them; platform staff may disconnect."""

    list_display = ("email", "user", "issuer", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("email", "user__email", "user__name", "subject")
    fields = ("user", "email", "issuer", "subject", "created_at", "last_used_at")
    readonly_fields = fields
    actions_detail = ("disconnect",)

    @action(
        description=gettext_lazy("Disconnect"),
        url_path="disconnect",
        icon="link_off",
        variant=ActionVariant.DANGER,
        takes="staff",
    )
    def disconnect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then disconnect."""
        row = self.row_or_404(request, object_id)
        names = {"user": row.user, "email": row.email}

        def perform(_values: dict[str, Any]) -> HttpResponse:
            identity_disconnect(identity=row, actor=request_actor(request))
            return self.gone(request, _("%(user)s is no longer connected.") % names)

        return self.ask(
            request,
            row,
            title=_("Disconnect %(user)s") % names,
            sentence=_(
                "The account %(email)s at the identity provider signs in nobody here any more, until it is connected again: by "
                "the next sign-in with the e-mail of an account. Sessions that run go on; switch the user off to end them."
            )
            % names,
            button=_("Disconnect"),
            danger=True,
            perform=perform,
        )
