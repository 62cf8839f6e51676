"""Management keys: each of one organization, for some permissions, and revocable."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import SharedRow, User
from apps.orgs.roles import Permission

PREFIX = "tg_admin_"


class KeyState(models.TextChoices):
    """What a key is worth right now."""

    LIVE = "live", _("live")
    EXPIRED = "expired", _("expired")
    REVOKED = "revoked", _("revoked")


class ManagementKey(SharedRow):
    """A key to the REST API. Its plaintext was shown once; we keep a digest. Of no organization: the installation's.

    A key that a person issued does what that person may do at the time, and nothing once the person is switched off or has left.
    """

    name = models.CharField(_("name"), max_length=100)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)  # SHA-256 of the plaintext
    hint = models.CharField(_("key ends in"), max_length=4, editable=False)
    permissions = ArrayField(
        models.CharField(max_length=32, choices=[(each.value, each.value) for each in Permission]),
        verbose_name=_("permissions"),
        help_text=_("What it may do; at most what you may."),
    )
    allowed_networks = ArrayField(
        models.CharField(max_length=49),
        verbose_name=_("allowed networks"),
        default=list,
        blank=True,
        help_text=_("Where it may be used from, such as 10.0.0.0/8; none: anywhere."),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)  # to the minute
    # The key goes with whoever issued it. Null: a command did.
    created_by = models.ForeignKey(
        User, on_delete=models.CASCADE, null=True, related_name="+", verbose_name=_("created by"), editable=False
    )
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("management key")
        verbose_name_plural = _("management keys")
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(condition=~models.Q(permissions=[]), name="keys_managementkey_permissions")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.masked})"

    @property
    def masked(self) -> str:
        """How it is shown ever after: `tg_admin_…wxyz`."""
        return f"{PREFIX}…{self.hint}"

    def state(self, at: datetime) -> KeyState:
        """What it is worth at `at`."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and self.expires_at <= at:
            return KeyState.EXPIRED
        return KeyState.LIVE
