"""The console's page about identities: who is connected with what, and disconnecting."""

from django.contrib import admin
from django.utils.translation import gettext_lazy

from apps.core.console import ReadOnlyAdmin
from apps.core.rowactions import row_action
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

    disconnect = row_action(
        "disconnect",
        gettext_lazy("Disconnect"),
        icon="link_off",
        danger=True,
        leaves=True,
        takes="staff",
        does=lambda row, actor: identity_disconnect(identity=row, actor=actor),
        title=gettext_lazy("Disconnect %(user)s"),
        sentence=gettext_lazy(
            "The account %(email)s at the identity provider signs in nobody here any more, until it is connected again: by "
            "the next sign-in with the e-mail of an account. Sessions that run go on; switch the user off to end them."
        ),
        done=gettext_lazy("%(user)s is no longer connected."),
        words=lambda row: {"user": row.user, "email": row.email},
    )
