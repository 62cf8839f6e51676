"""Invitations: one person, known by e-mail, may join one organization in one role, once."""

from django.db import models
from django.db.models.functions import Lower
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import OwnedRow, Role, User


class Delivery(models.TextChoices):
    """How the link reaches whom it is for. Only who got it by e-mail has shown that the address is theirs."""

    EMAIL = "email", _("by e-mail")
    LINK = "link", _("as a link to hand over")


class Invitation(OwnedRow):
    """An offer to join. Its secret is in the link only; we keep a digest. Whoever it has let in, or not, the row stays."""

    email = models.EmailField(_("e-mail"), max_length=254)
    role = models.CharField(_("role"), max_length=16, choices=Role, default=Role.MEMBER)
    delivery = models.CharField(_("how it is delivered"), max_length=8, choices=Delivery, default=Delivery.EMAIL)
    digest = models.BinaryField(max_length=32, unique=True)  # SHA-256
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    expires_at = models.DateTimeField(_("expires at"))
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True, editable=False)  # the mail server took it
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True, editable=False)
    invited_by = models.ForeignKey(  # null: the installation itself, or a key of nobody's
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("invited by")
    )
    accepted_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("accepted by")
    )

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitations_invitation_open_once",
                violation_error_message=_("This address is invited already: send that invitation again, or revoke it."),
            ),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="invitations_invitation_email_lower"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="invitations_invitation_role"),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None) | models.Q(revoked_at=None), name="invitations_invitation_one_end"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.get_role_display()}"

    def clean(self) -> None:
        """Keep e-mails in lower case."""
        super().clean()
        self.email = self.email.strip().lower()

    @property
    def is_open(self) -> bool:
        """Whether it would let somebody in now."""
        return self.accepted_at is None and self.revoked_at is None and self.expires_at > now()

    @property
    def state(self) -> str:
        """`open`, `accepted`, `revoked` or `expired`."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        return "open" if self.expires_at > now() else "expired"
