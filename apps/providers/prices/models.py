"""The price book's table: what a million units of everything cost, from when, and who says so."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import SharedRow
from apps.providers.names import MODEL_NAME_PATTERN
from apps.providers.prices.kinds import KINDS, TIERS
from apps.providers.prices.money import DECIMALS, MAX_PRICE

_PROVIDER = RegexValidator(r"^[a-z][a-z0-9_]*\Z", _("Use small letters, digits and _ only, beginning with a letter."))
_MODEL = RegexValidator(
    MODEL_NAME_PATTERN, _("Use letters, digits and . _ : / @ + - only, beginning with a letter or digit.")
)


class Tier(models.TextChoices):
    """How fast, or how late, a provider promises to answer."""

    STANDARD = "", _("standard")
    BATCH = "batch", _("batch")
    FLEX = "flex", _("flex")
    PRIORITY = "priority", _("priority")
    ULTRAFAST = "ultrafast", _("ultrafast")


def _price(label: Any) -> "models.DecimalField[Any, Any]":
    return models.DecimalField(
        label,
        max_digits=20,
        decimal_places=DECIMALS,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_PRICE)],
    )


class Price(SharedRow):
    """What one model costs in one tier from a time on, in USD per 1,000,000 units of each kind. Append-only.

    Empty is not 0: what is empty has no price of its own, and `apps.providers.prices.sheet` says what is taken instead. A row
    with `above_input_tokens` applies to the whole of a request with more input tokens than that. The only thing that ever
    changes is `withdrawn_at`: a row that was a mistake and is not used any more.
    """

    provider = models.CharField(_("provider"), max_length=32, validators=[_PROVIDER])
    model = models.CharField(_("model"), max_length=255, validators=[_MODEL])
    tier = models.CharField(_("tier"), max_length=16, choices=Tier, default=Tier.STANDARD, blank=True)
    above_input_tokens = models.PositiveIntegerField(
        _("above input tokens"), default=0, help_text=_("For requests with more input tokens than this; 0: for all.")
    )
    effective_from = models.DateTimeField(_("from"))

    input = _price(_("input"))
    cached_input = _price(_("cached input"))
    cache_write_5m = _price(_("cache write (5 min)"))
    cache_write_1h = _price(_("cache write (1 h)"))
    output = _price(_("output"))
    reasoning = _price(_("reasoning"))
    audio_input = _price(_("audio input"))
    cached_audio_input = _price(_("cached audio input"))
    audio_output = _price(_("audio output"))
    image_input = _price(_("image input"))
    cached_image_input = _price(_("cached image input"))
    image_output = _price(_("image output"))
    per_image = _price(_("per million images"))
    per_second = _price(_("per million seconds"))
    per_character = _price(_("per million characters"))
    per_request = _price(_("per million requests"))
    per_search = _price(_("per million searches"))

    source = models.CharField(_("source"), max_length=300, blank=True, help_text=_("Where the price is published."))
    note = models.CharField(_("note"), max_length=300, blank=True)
    shipped = models.BooleanField(_("shipped with a release"), default=False, editable=False)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True, editable=False)

    class Meta:
        app_label = "providers"
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ("provider", "model", "tier", "above_input_tokens", "-effective_from")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "model", "tier", "above_input_tokens", "effective_from"],
                condition=models.Q(withdrawn_at__isnull=True),
                nulls_distinct=False,
                name="providers_price_once",
                violation_error_message=_(
                    "There is a price from this time on: withdraw it first, or choose a later time."
                ),
            ),
            models.CheckConstraint(condition=models.Q(tier__in=["", *TIERS]), name="providers_price_tier"),
            models.CheckConstraint(
                condition=~models.Q(**{f"{kind}__isnull": True for kind in KINDS}),
                name="providers_price_any",
                violation_error_message=_("Give at least one price."),
            ),
            # The upper end refuses NaN as well, which PostgreSQL holds to be greater than any number.
            *(
                models.CheckConstraint(
                    condition=models.Q(**{f"{kind}__isnull": True})
                    | models.Q(**{f"{kind}__gte": 0, f"{kind}__lte": MAX_PRICE}),
                    name=f"providers_price_{kind}",
                )
                for kind in KINDS
            ),
        ]

    def __str__(self) -> str:
        parts = [f"{self.provider}/{self.model}"]
        if self.tier:
            parts.append(self.get_tier_display())
        if self.above_input_tokens:
            parts.append(f"> {self.above_input_tokens}")
        return f"{' '.join(parts)} ({self.effective_from:%Y-%m-%d})"
