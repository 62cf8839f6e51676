"""Names of an organization's own for models, and what they lead to."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.orgs.models import SharedRow
from apps.providers.aliases.names import pattern_is_valid

WEIGHT_MOST = 1000


def check_pattern(text: str) -> None:
    """Raises ValidationError unless `text` is a model's name, or one with a star in it."""
    if not pattern_is_valid(text):
        raise ValidationError(
            _("Use letters, digits and . _ : / @ + - only, beginning with a letter or digit, and * at most once.")
        )


class Strategy(models.TextChoices):
    """Which of an alias's targets is asked first."""

    ORDERED = "ordered", _("ordered: the first, the others if it fails")
    WEIGHTED = "weighted", _("weighted: each its share")
    LEAST_LATENCY = "least_latency", _("least latency: who has answered soonest lately")
    LEAST_BUSY = "least_busy", _("least busy: who has the fewest calls under way")


class Alias(SharedRow):
    """A name that clients may ask for, and that stands for other models. With a star, all names that fit."""

    name = models.CharField(
        _("name"),
        max_length=255,
        validators=[check_pattern],
        help_text=_("What clients send as `model`. One * stands for any characters: claude-*."),
    )
    strategy = models.CharField(_("strategy"), max_length=16, choices=Strategy, default=Strategy.ORDERED)
    enabled = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("alias")
        verbose_name_plural = _("aliases")
        ordering = ("name",)
        indexes = [models.Index(fields=["name"], name="providers_alias_name")]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                name="providers_alias_once",
                nulls_distinct=False,
                violation_error_message=_("An alias of this name exists."),
            ),
            models.CheckConstraint(condition=models.Q(strategy__in=Strategy.values), name="providers_alias_strategy"),
        ]

    def __str__(self) -> str:
        return self.name


class AliasTarget(SharedRow):
    """One of the models that an alias stands for. Its organization is the alias's."""

    alias = models.ForeignKey(Alias, on_delete=models.CASCADE, related_name="targets", verbose_name=_("alias"))
    model = models.CharField(
        _("model"),
        max_length=255,
        validators=[check_pattern],
        help_text=_("A model's name, or provider/name. A * becomes what the * of the alias stands for."),
    )
    credential = models.ForeignKey(
        "providers.Credential",
        on_delete=models.CASCADE,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("credential"),
        help_text=_("Only this one is asked; empty: any that serves the model."),
    )
    tier = models.PositiveSmallIntegerField(
        _("tier"), default=1, help_text=_("Those of the lowest are asked first, the next when those have failed.")
    )
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(WEIGHT_MOST)],
        help_text=_("Its share among those of its tier."),
    )

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        ordering = ("tier", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["alias", "model", "credential"],
                name="providers_target_once",
                nulls_distinct=False,
                violation_error_message=_("This target is there already."),
            ),
            models.CheckConstraint(
                condition=models.Q(weight__gte=1, weight__lte=WEIGHT_MOST), name="providers_target_weight"
            ),
        ]

    def __str__(self) -> str:
        return self.model
