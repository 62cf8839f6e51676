"""What services keep with providers: files, batches and stored responses, and whose each is.

Several services share a provider's account, which knows nothing of them. So the gateway remembers who made what with which
credential, and lets nobody else at it. Rows are written by the data plane (apps.gateway.objects), without models: statements.py.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import OwnedRow
from apps.providers.models import Credential
from apps.services.models import Service, Token


class ObjectKind(models.TextChoices):
    """What is kept."""

    FILE = "file", _("file")
    BATCH = "batch", _("batch")
    RESPONSE = "response", _("response")


class OwnedObject(OwnedRow):
    """One object at a provider, and the service that it belongs to."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+", verbose_name=_("service"))
    token = models.ForeignKey(Token, on_delete=models.PROTECT, related_name="+", verbose_name=_("token"))
    credential = models.ForeignKey(Credential, on_delete=models.PROTECT, related_name="+", verbose_name=_("credential"))
    kind = models.CharField(_("kind"), max_length=16, choices=ObjectKind)
    upstream_id = models.CharField(_("provider's id"), max_length=255)
    model = models.CharField(_("model"), max_length=255, blank=True)  # as clients ask for it; empty: none, or unknown
    facts = models.JSONField(_("facts"), default=dict)  # the object as the provider showed it last, where lists show it
    # What a response's output consists of, by the ids that later requests may refer to.
    items = ArrayField(models.TextField(), verbose_name=_("items"), default=list)
    end_user = models.CharField(_("end user"), max_length=255, blank=True)
    tags = ArrayField(models.TextField(), verbose_name=_("tags"), default=list)
    created_at = models.DateTimeField(_("created at"), default=now)
    deleted_at = models.DateTimeField(_("deleted at"), null=True)
    # What a batch, or a response made in the background, costs is known when it is over: then it is recorded, once.
    awaited = models.BooleanField(_("still to be paid"), default=False)
    checked_at = models.DateTimeField(_("asked for at"), default=now)
    claimed_until = models.DateTimeField(null=True)  # by the process that records it
    record_id = models.UUIDField(
        _("request record"), null=True
    )  # chosen before it is written, so that it is written once

    class Meta:
        verbose_name = _("object")
        verbose_name_plural = _("objects")
        ordering = ("-id",)
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["upstream_id", "kind", "credential"], name="objects_object_once"),
            models.CheckConstraint(condition=models.Q(kind__in=ObjectKind.values), name="objects_object_kind"),
        ]
        indexes = [
            models.Index(fields=["service", "kind", "-id"], name="objects_by_service_kind"),
            models.Index(fields=["service", "-id"], name="objects_by_service"),
            models.Index(fields=["kind", "-id"], name="objects_by_kind"),
            models.Index(fields=["credential", "-id"], name="objects_by_credential"),
            models.Index(fields=["organization", "-id"], name="objects_by_organization"),
            models.Index(fields=["checked_at"], name="objects_awaited", condition=models.Q(awaited=True)),
            GinIndex(fields=["items"], name="objects_by_item", condition=~models.Q(items=[])),
        ]

    def __str__(self) -> str:
        return self.upstream_id
