"""The console's pages about invitations: invite, send again, revoke."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, request_actor
from apps.core.outgoing import NotSentError
from apps.core.rowactions import row_action
from apps.core.theme import ActionVariant, AutocompleteSelectFilter, action, display
from apps.orgs.invitations.actions import invitation_create, invitation_renew, invitation_revoke
from apps.orgs.invitations.delivering import invitation_mail
from apps.orgs.invitations.forms import InvitationForm, RenewForm
from apps.orgs.invitations.models import Delivery, Invitation

_STATES = {"open": "info", "accepted": "success", "revoked": "danger", "expired": "warning"}


@admin.register(Invitation)
class InvitationAdmin(ConsoleAdmin):
    """Who is invited, newest first."""

    permission_read = "members.read"
    permission_write = "members.write"
    form = InvitationForm
    list_display = ("email", "organization", "role", "state", "delivery", "invited_by", "created_at", "expires_at")
    list_filter = (("organization", AutocompleteSelectFilter), "role")
    list_select_related = ("organization", "invited_by")
    search_fields = ("email", "organization__name", "organization__slug")
    autocomplete_fields = ("organization",)
    ordering = ("-id",)
    fields = (
        "organization",
        "email",
        "role",
        "became",
        "delivery",
        "sent_at",
        "expires_at",
        "inviter",
        "created_at",
        "accepted_at",
        "revoked_at",
    )
    readonly_fields = fields
    add_fieldsets = ((None, {"fields": ("organization", "email", "role", "delivery", "lifetime")}),)
    actions = None
    actions_detail = ("renew", "revoke")

    @display(description=gettext_lazy("state"), label=_STATES)
    def state(self, invitation: Invitation) -> tuple[str, str]:
        """What became of it."""
        words = {"open": _("open"), "accepted": _("accepted"), "revoked": _("revoked"), "expired": _("expired")}
        return invitation.state, words[invitation.state]

    @display(description=gettext_lazy("state"))
    def became(self, invitation: Invitation) -> str:
        """The same in words."""
        return self.state(invitation)[1]

    @display(description=gettext_lazy("invited by"))
    def inviter(self, invitation: Invitation) -> str:
        """Whose invitation it is."""
        return str(invitation.invited_by or _("the installation"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: another role or address is another invitation."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """None while adding."""
        return self.readonly_fields if obj is not None else ()

    def perform_add(self, request: HttpRequest, values: Mapping[str, Any]) -> Invitation:
        """Invite; the link travels on the row to the e-mail, or to the one page that shows it, and nowhere else."""
        invitation, path = invitation_create(
            organization=values["organization"],
            email=values["email"],
            role=values["role"],
            delivery=values["delivery"],
            lifetime=timedelta(days=values["lifetime"]),
            actor=request_actor(request),
        )
        invitation.path = path  # type: ignore[attr-defined]  # for this request only
        return invitation

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Send it, or show the link."""
        return self._deliver(request, obj, obj.path)

    def hidden_buttons(self, row: Any) -> Collection[str]:
        """All of them once it is over."""
        return () if row.state in {"open", "expired"} else self.actions_detail

    @action(
        description=gettext_lazy("Send again"), url_path="renew", icon="forward_to_inbox", variant=ActionVariant.PRIMARY
    )
    def renew(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how, then send a new link."""
        row = self.row_or_404(request, object_id)

        def perform(values: dict[str, Any]) -> HttpResponse:
            renewed, path = invitation_renew(
                invitation=row,
                delivery=values["delivery"],
                lifetime=timedelta(days=values["lifetime"]),
                actor=request_actor(request),
            )
            return self._deliver(request, renewed, path)

        return self.ask(
            request,
            row,
            title=_("Invite %(email)s again") % {"email": row.email},
            sentence=_("There is a new link; the one before is refused from then on."),
            button=_("Send again"),
            form_class=RenewForm,
            initial={"delivery": row.delivery},
            perform=perform,
        )

    revoke = row_action(
        "revoke",
        gettext_lazy("Revoke"),
        icon="cancel",
        danger=True,
        does=lambda row, actor: invitation_revoke(invitation=row, actor=actor),
        title=gettext_lazy("Revoke the invitation of %(email)s"),
        sentence=gettext_lazy("Its link is refused from the next moment on."),
        done=gettext_lazy("The invitation of %(email)s is revoked."),
        words=lambda row: {"email": row.email},
    )

    def _deliver(self, request: HttpRequest, invitation: Invitation, path: str) -> HttpResponse:
        if invitation.delivery == Delivery.LINK:
            return self.page(
                request,
                "console/reveal_invitation.html",
                title=_("Invitation of %(email)s") % {"email": invitation.email},
                row=invitation,
                link=settings.PUBLIC_URL + path,
            )
        # A mail server may take its time, and the link must work when it arrives: only once the invitation is committed.
        transaction.on_commit(lambda: self._send(request, invitation, path))
        return HttpResponse(status=302, headers={"Location": self.row_url(invitation)})

    @staticmethod
    def _send(request: HttpRequest, invitation: Invitation, path: str) -> None:
        try:
            invitation_mail(invitation=invitation, path=path)
        except NotSentError as error:
            messages.error(
                request,
                _("%(email)s is invited, but the e-mail was not sent: %(reason)s. Send it again, or hand over a link.")
                % {"email": invitation.email, "reason": error},
            )
        else:
            messages.success(request, _("%(email)s is invited: the e-mail is sent.") % {"email": invitation.email})
