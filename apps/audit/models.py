"""What happened: one record per request through the gateway, one event per change by an operator.

Other apps are named by string only: anyone may record here, so this room imports none of them. References carry no
database constraint, since a record outlives what it names.
"""

from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.core.ids import request_id, uuid7

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def _reference(to: str, label: "StrOrPromise") -> "models.ForeignKey[models.Model | None, models.Model | None]":
    return models.ForeignKey(
        to,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=label,
    )


class RequestRecord(models.Model):
    """One request through the gateway, refusals included. Written by the flusher alone; partitioned by month of `id`.

    Durations are whole microseconds. Token buckets are disjoint: `input_tokens` excludes what was read from or written
    to a provider's cache; `reasoning_tokens` alone is inside `output_tokens`. None means that nobody said, 0 that none
    were used.
    """

    id = models.UUIDField(
        primary_key=True, default=uuid7, editable=False
    )  # version 7: its time is the request's arrival
    created_at = models.DateTimeField(_("time"))
    organization = _reference("orgs.Organization", _("organization"))
    service = _reference("services.Service", _("service"))
    token = _reference("services.Token", _("token"))
    credential = _reference("providers.Credential", _("credential"))

    endpoint = models.CharField(_("endpoint"), max_length=32)
    dialect = models.CharField(_("dialect"), max_length=32)
    method = models.CharField(_("method"), max_length=8)
    path = models.CharField(_("path"), max_length=300)
    model_asked = models.CharField(_("model asked"), max_length=255, blank=True)
    model_served = models.CharField(_("model served"), max_length=255, blank=True)
    provider = models.CharField(_("provider"), max_length=32, blank=True)
    stream = models.BooleanField(_("stream"), default=False)
    status = models.PositiveSmallIntegerField(_("status"))
    error_code = models.CharField(_("error"), max_length=64, blank=True)

    input_tokens = models.BigIntegerField(_("input tokens"), null=True)
    cache_read_tokens = models.BigIntegerField(_("cache read tokens"), null=True)
    cache_write_5m_tokens = models.BigIntegerField(_("cache write tokens (5 min)"), null=True)
    cache_write_1h_tokens = models.BigIntegerField(_("cache write tokens (1 h)"), null=True)
    output_tokens = models.BigIntegerField(_("output tokens"), null=True)
    reasoning_tokens = models.BigIntegerField(_("reasoning tokens"), null=True)
    audio_input_tokens = models.BigIntegerField(_("audio input tokens"), null=True)
    audio_output_tokens = models.BigIntegerField(_("audio output tokens"), null=True)
    usage_estimated = models.BooleanField(_("usage is estimated"), default=False)

    first_byte_us = models.BigIntegerField(_("time to first byte"), null=True)
    total_us = models.BigIntegerField(_("total time"))
    upstream_us = models.BigIntegerField(_("upstream time"), default=0)
    gateway_us = models.BigIntegerField(_("gateway time"), default=0)
    bytes_in = models.BigIntegerField(_("bytes in"), default=0)
    bytes_out = models.BigIntegerField(_("bytes out"), default=0)

    client_address = models.GenericIPAddressField(_("client address"), null=True)
    user_agent = models.CharField(_("user agent"), max_length=300, blank=True)
    end_user = models.CharField(
        _("end user"), max_length=255, blank=True
    )  # the request's `user` or `safety_identifier`
    client_request_id = models.CharField(_("client's request id"), max_length=200, blank=True)
    upstream_request_id = models.CharField(_("upstream's request id"), max_length=200, blank=True)
    # Every attempt upstream: credential, model, status, error code, start and length in microseconds, upstream's id.
    attempts = models.JSONField(_("attempts"), default=list)
    image_input_tokens = models.BigIntegerField(_("image input tokens"), null=True)
    image_output_tokens = models.BigIntegerField(_("image output tokens"), null=True)
    # The rarer buckets, by their name in apps.providers.usage: audio_cache_read, images, seconds, searches …
    other_usage = models.JSONField(_("other usage"), null=True)
    service_tier = models.CharField(_("service tier"), max_length=32, blank=True)  # as the provider served it
    cost_usd = models.DecimalField(
        _("cost"), max_digits=24, decimal_places=12, null=True
    )  # null: nothing to pay, or unpriced
    price_ids = ArrayField(models.UUIDField(), verbose_name=_("prices"), default=list)
    tags = ArrayField(models.TextField(), verbose_name=_("tags"), default=list)  # key=value
    flags = ArrayField(models.TextField(), verbose_name=_("flags"), default=list)  # unpriced, usage_mismatch …
    decision = models.JSONField(_("decision"), null=True)  # what limits and budgets said (apps.policies.decision)
    recorded_at = models.DateTimeField(_("recorded at"), db_default=Now())

    class Meta:
        verbose_name = _("request record")
        verbose_name_plural = _("request records")
        ordering = ("-id",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.shown_id

    @property
    def shown_id(self) -> str:
        """The id as the client saw it: `req_…`."""
        return request_id(self.id)


class Spend(models.Model):
    """What one token spent in one quarter of an hour (UTC): the sum of its records' costs, kept by the flusher in the same
    transaction as the records themselves, so that a month of millions of records adds up in milliseconds.

    Every time zone's midnight falls on a quarter of an hour.
    """

    organization = _reference("orgs.Organization", _("organization"))
    service = _reference("services.Service", _("service"))
    token = _reference("services.Token", _("token"))
    at = models.DateTimeField(_("from"))
    requests = models.BigIntegerField(_("requests"))
    cost_usd = models.DecimalField(_("cost"), max_digits=24, decimal_places=12)

    class Meta:
        verbose_name = _("spend")
        verbose_name_plural = _("spend")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["token", "at"], name="audit_spend_once")]
        indexes = [
            models.Index(fields=["organization", "at"], name="audit_spend_organization"),
            models.Index(fields=["service", "at"], name="audit_spend_service"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.cost_usd}"


class Adjustment(models.Model):
    """A correction of what was spent, with its reason. History is never rewritten: this is added to it. Append-only.

    Counts for the budgets of its organization, service, token, end user and tags, at its time.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = _reference("orgs.Organization", _("organization"))
    service = _reference("services.Service", _("service"))
    token = _reference("services.Token", _("token"))
    end_user = models.CharField(_("end user"), max_length=255, blank=True)
    tags = ArrayField(models.TextField(), verbose_name=_("tags"), default=list, blank=True)
    request_id = models.UUIDField(_("request"), null=True, blank=True)
    at = models.DateTimeField(_("time it counts for"))
    amount_usd = models.DecimalField(_("amount"), max_digits=24, decimal_places=12)  # negative: less was spent
    reason = models.CharField(_("reason"), max_length=300)
    created_at = models.DateTimeField(_("time"), db_default=Now())
    created_by = _reference("orgs.User", _("user"))

    class Meta:
        verbose_name = _("adjustment")
        verbose_name_plural = _("adjustments")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = [models.Index(fields=["organization", "at"], name="audit_adjustment_at")]

    def __str__(self) -> str:
        return f"{self.amount_usd:+} USD: {self.reason}"


class AdminEvent(models.Model):
    """One change by an operator: who, through which door, what it was before and after. Never a secret. Append-only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(_("time"), db_default=Now())
    organization = _reference("orgs.Organization", _("organization"))
    actor = _reference("orgs.User", _("user"))
    actor_label = models.CharField(_("who"), max_length=254)  # kept as it was, should the user go
    door = models.CharField(_("door"), max_length=16)
    address = models.GenericIPAddressField(_("address"), null=True)
    action = models.CharField(_("action"), max_length=64)  # such as token.issued
    target_type = models.CharField(_("kind"), max_length=64)
    target_id = models.UUIDField(_("id"), null=True)
    target_label = models.CharField(_("what"), max_length=300)
    before = models.JSONField(_("before"), null=True)
    after = models.JSONField(_("after"), null=True)

    class Meta:
        verbose_name = _("admin event")
        verbose_name_plural = _("admin events")
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["organization", "-id"], name="audit_event_organization"),
            models.Index(fields=["target_id", "-id"], name="audit_event_target"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_label}"
