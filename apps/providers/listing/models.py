"""What providers say they have, by credential, as they said it last."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import SharedRow


class ProviderListing(SharedRow):
    """The models that a credential's provider lists. Its organization is the credential's."""

    credential = models.OneToOneField(
        "providers.Credential", on_delete=models.CASCADE, related_name="listing", verbose_name=_("credential")
    )
    names = ArrayField(models.CharField(max_length=255), verbose_name=_("models"), default=list)
    asked_at = models.DateTimeField(_("asked at"))
    listed_at = models.DateTimeField(_("listed at"), null=True)  # when it was last answered with a list
    error = models.CharField(_("error"), max_length=500, blank=True)  # why it was not, the last time; empty: it was

    class Meta:
        verbose_name = _("provider's listing")
        verbose_name_plural = _("providers' listings")

    def __str__(self) -> str:
        return str(self.credential)
