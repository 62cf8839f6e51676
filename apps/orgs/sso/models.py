"""Which account at the identity provider is which user here."""

from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.models import Row
from apps.orgs.models import User


class Identity(Row):
    """An account at an identity provider, which signs its user in. Its issuer and subject never change; its e-mail may."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities", verbose_name=_("user"))
    issuer = models.CharField(_("identity provider"), max_length=500)
    subject = models.CharField(_("subject"), max_length=255)
    email = models.EmailField(_("e-mail there"), max_length=254)
    # What groups gave, by organization: a role that they gave they also take, and one that a person gave they do not.
    roles_given = models.JSONField(_("roles given by groups"), default=dict, blank=True)
    created_at = models.DateTimeField(_("connected at"), default=now, editable=False)
    last_used_at = models.DateTimeField(_("last sign-in"), null=True, editable=False)

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        ordering = ("email",)
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="sso_identity_once"),
            # Whoever has an e-mail after somebody else does not get that person's account with it.
            models.UniqueConstraint(fields=["user", "issuer"], name="sso_identity_one_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.issuer})"
