"""Client services and the tokens they call with."""

from datetime import datetime
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.endpoints import SCOPES
from apps.orgs.models import OwnedRow, User
from apps.services.tokens import masked


class Service(OwnedRow):
    """An application of an organization that calls the gateway."""

    name = models.CharField(_("name"), max_length=100)
    disabled_at = models.DateTimeField(
        _("disabled at"), null=True, blank=True, help_text=_("Its tokens are refused from then on.")
    )
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("service")
        verbose_name_plural = _("services")
        ordering = ("organization", "name")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                name="services_service_name",
                violation_error_message=_("A service with this name exists."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class TokenQuerySet(models.QuerySet["Token"]):
    """Named sets of tokens."""

    def live(self, now: datetime) -> Self:
        """Neither revoked nor expired at `now`."""
        return self.filter(revoked_at=None).exclude(expires_at__lte=now)


class TokenState(models.TextChoices):
    """What a token is worth right now."""

    LIVE = "live", _("live")
    EXPIRED = "expired", _("expired")
    REVOKED = "revoked", _("revoked")


class Token(OwnedRow):
    """A revocable key of a service. Its plaintext was shown once; we keep a digest."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="tokens", verbose_name=_("service"))
    name = models.CharField(_("name"), max_length=100)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)  # SHA-256 of the plaintext
    hint = models.CharField(_("token ends in"), max_length=4, editable=False)
    # What it was before its last rotation, and until when that is still accepted.
    previous_digest = models.BinaryField(max_length=32, unique=True, null=True, editable=False)
    previous_until = models.DateTimeField(_("token before accepted until"), null=True, blank=True, editable=False)
    scopes = ArrayField(
        models.CharField(max_length=32, choices=[(scope, scope) for scope in SCOPES]),
        verbose_name=_("scopes"),
        default=list,
        blank=True,
        help_text=_("Endpoints it may call; none: all."),
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)  # to the minute
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("created by"), editable=False
    )
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    objects: ClassVar[models.Manager["Token"]] = TokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.masked})"

    @property
    def masked(self) -> str:
        """How it is shown ever after: `tg_live_…wxyz`."""
        return masked(self.hint)

    def state(self, now: datetime) -> TokenState:
        """What it is worth at `now`."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return TokenState.EXPIRED
        return TokenState.LIVE
