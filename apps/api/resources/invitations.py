"""Invitations: how people join an organization."""

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.api.frame.examples import id_of
from apps.api.frame.fields import Choice, Moment, Text
from apps.api.frame.operations import operation
from apps.api.frame.queries import OwnedInput, PageQuery
from apps.api.frame.views import ApiView
from apps.orgs.invitations.actions import invitation_create, invitation_renew, invitation_revoke
from apps.orgs.invitations.delivering import invitation_mail
from apps.orgs.invitations.models import Delivery, Invitation
from apps.orgs.models import Role
from apps.orgs.roles import Permission

STATES = ("open", "accepted", "revoked", "expired")


class InvitationShown(serializers.Serializer[Invitation]):
    """An invitation, without its link."""

    example = {"email": "ana@example.org", "role": "member", "delivery": "link", "invited_by": id_of("user")}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.values)
    delivery = serializers.ChoiceField(choices=Delivery.values)
    state = serializers.ChoiceField(choices=STATES)
    invited_by = serializers.UUIDField(source="invited_by_id", allow_null=True)
    accepted_by = serializers.UUIDField(source="accepted_by_id", allow_null=True)
    created_at = Moment()
    expires_at = Moment()
    sent_at = Moment(allow_null=True, help_text="When the mail server took it.")
    accepted_at = Moment(allow_null=True)
    revoked_at = Moment(allow_null=True)


class InvitationMade(InvitationShown):
    """An invitation with its link, where that is for handing over: shown this once."""

    example = {"link": "https://tollgate.example.org/invitations/…/"}

    link = serializers.SerializerMethodField(help_text="null where it went by e-mail.")

    def get_link(self, invitation: Invitation) -> str | None:
        """The whole link."""
        by_link = invitation.delivery == Delivery.LINK
        return f"{settings.PUBLIC_URL}{self.context['path']}" if by_link else None


class InvitationInput(OwnedInput):
    """A new invitation."""

    example = {"email": "ana@example.org", "role": "member", "delivery": "link"}

    email = Text(max_length=254)
    role = Choice(choices=Role.values)
    delivery = Choice(choices=Delivery.values, required=False, help_text="By e-mail if left out.")


class Invitations(ApiView):
    """All of them."""

    tag = "Invitations"
    permissions: ClassVar = {"GET": Permission.MEMBERS_READ, "POST": Permission.MEMBERS_WRITE}
    shows = InvitationShown

    @operation("List invitations", query=PageQuery, gives=InvitationShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        return self.page(self.mine(Invitation.objects.all()))

    @operation("Invite somebody", takes=InvitationInput, gives=InvitationMade, status=201)
    def post(self) -> Any:
        """By e-mail, or with a link to hand over."""
        delivery = self.given.get("delivery", Delivery.EMAIL)
        _check_mail(delivery)
        invitation, path = invitation_create(
            organization=self.organization(),
            email=self.given["email"],
            role=self.given["role"],
            delivery=delivery,
            actor=self.actor,
        )
        return _sent(self, invitation, path)


class OneInvitation(ApiView):
    """One of them."""

    tag = "Invitations"
    permissions: ClassVar = {"GET": Permission.MEMBERS_READ}
    rows = Invitation
    shows = InvitationShown

    @operation("Read an invitation", gives=InvitationShown)
    def get(self) -> Any:
        """As it is."""
        return self.row


class InvitationRenewal(ApiView):
    """Another link for one."""

    tag = "Invitations"
    permissions: ClassVar = {"POST": Permission.MEMBERS_WRITE}
    rows = Invitation
    related = ("organization", "invited_by")
    shows = InvitationShown
    locks = False

    @operation("Send an invitation again", gives=InvitationMade, status=201)
    def post(self) -> Any:
        """With a new link; the one before is refused."""
        _check_mail(self.row.delivery)
        invitation, path = invitation_renew(invitation=self.row, actor=self.actor)
        return _sent(self, invitation, path)


class InvitationRevocation(ApiView):
    """The end of one."""

    tag = "Invitations"
    permissions: ClassVar = {"POST": Permission.MEMBERS_WRITE}
    rows = Invitation
    shows = InvitationShown

    @operation("Revoke an invitation", gives=InvitationShown)
    def post(self) -> Any:
        """Its link is refused from now on."""
        invitation_revoke(invitation=self.row, actor=self.actor)
        return self.find()


def _check_mail(delivery: str) -> None:
    if delivery == Delivery.EMAIL and settings.EMAIL_SERVER is None:
        raise ValidationError({"delivery": _("This installation sends no mail: ask for a link to hand over.")})


def _sent(view: ApiView, invitation: Invitation, path: str) -> dict[str, Any]:
    if invitation.delivery == Delivery.EMAIL:
        # What the mail server refuses is in the log, and `sent_at` stays empty: send it again.
        transaction.on_commit(lambda: invitation_mail(invitation=invitation, path=path), robust=True)
    return view.shown(invitation, InvitationMade, path=path)
