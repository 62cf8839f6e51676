"""Upstreams: whose keys we hold, and which models they serve."""

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from apps.core.sealing import Place
from apps.orgs.models import SharedRow
from apps.providers.aliases.models import WEIGHT_MOST, Alias, AliasTarget
from apps.providers.listing.models import ProviderListing
from apps.providers.names import MODEL_NAME_PATTERN
from apps.providers.prices.models import Price

__all__ = ["Alias", "AliasTarget", "Credential", "ModelKind", "Price", "Provider", "ProviderListing", "ProviderModel"]

MODEL_NAME = RegexValidator(
    MODEL_NAME_PATTERN, _("Use letters, digits and . _ : / @ + - only, beginning with a letter or digit.")
)


class Provider(models.TextChoices):
    """Whose API an account belongs to; apps.providers.kinds says how each is spoken to."""

    OPENAI = "openai", "OpenAI"
    AZURE_OPENAI = "azure_openai", "Azure OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"
    GEMINI = "gemini", "Google Gemini"
    MISTRAL = "mistral", "Mistral"
    COHERE = "cohere", "Cohere"
    GROQ = "groq", "Groq"
    DEEPSEEK = "deepseek", "DeepSeek"
    XAI = "xai", "xAI"
    TOGETHER = "together", "Together AI"
    FIREWORKS = "fireworks", "Fireworks AI"
    OPENROUTER = "openrouter", "OpenRouter"
    CEREBRAS = "cerebras", "Cerebras"
    MOONSHOT = "moonshot", "Moonshot AI"
    OLLAMA = "ollama", "Ollama"
    OPENAI_COMPATIBLE = "openai_compatible", _("OpenAI-compatible")
    SANDBOX = "sandbox", _("Sandbox")


class ModelKind(models.TextChoices):
    """What a model is asked for."""

    CHAT = "chat", _("chat")
    EMBEDDING = "embedding", _("embedding")
    OTHER = "other", _("other")


def _timeout(label: Any, help_text: Any) -> "models.FloatField[float | None, float | None]":
    return models.FloatField(label, null=True, blank=True, validators=[MinValueValidator(0.001)], help_text=help_text)


class Credential(SharedRow):
    """A provider account that we may call: where it is and its key, sealed."""

    provider = models.CharField(_("provider"), max_length=32, choices=Provider)
    label = models.CharField(_("label"), max_length=100)
    base_url = models.CharField(_("base URL"), max_length=300, help_text=_("Changing it requires the secret again."))
    api_version = models.CharField(
        _("API version"),
        max_length=32,
        blank=True,
        help_text=_("Azure OpenAI only, such as 2024-10-21; empty for its v1 API."),
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=100, help_text=_("The lowest number is asked first.")
    )
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(WEIGHT_MOST)],
        help_text=_(
            "Its share of the calls among those of the same priority, where one of them has a weight; empty: 1. "
            "Without any weight the oldest is asked, and the others if it fails."
        ),
    )
    sealed_secret = models.BinaryField(_("secret"), null=True, editable=False)
    secret_hint = models.CharField(_("secret ends in"), max_length=4, blank=True, editable=False)
    connect_timeout = _timeout(_("connect timeout"), _("Seconds; empty: the installation's."))
    first_byte_timeout = _timeout(
        _("first byte timeout"), _("Seconds until the answer begins; empty: the installation's.")
    )
    idle_timeout = _timeout(
        _("idle timeout"), _("Longest silence between two chunks, in seconds; empty: the installation's.")
    )
    total_timeout = _timeout(_("total timeout"), _("Seconds for the whole answer; empty: the installation's."))
    enabled = models.BooleanField(_("enabled"), default=True)
    drained_at = models.DateTimeField(_("drained at"), null=True, blank=True, editable=False)
    # Until its next success, or until its secret is replaced.
    refused_at = models.DateTimeField(_("refused at"), null=True, blank=True, editable=False)
    refused_status = models.PositiveSmallIntegerField(_("refused with"), null=True, blank=True, editable=False)
    refused_model = models.CharField(_("refused for"), max_length=255, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        ordering = ("organization", "priority", "label")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "label"],
                name="providers_credential_label",
                nulls_distinct=False,
                violation_error_message=_("A credential with this label exists."),
            ),
            models.CheckConstraint(
                condition=models.Q(provider__in=Provider.values), name="providers_credential_provider"
            ),
            *(
                models.CheckConstraint(
                    condition=models.Q(**{f"{name}__isnull": True}) | models.Q(**{f"{name}__gt": 0}),
                    name=f"providers_credential_{name}",
                )
                for name in ("connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout")
            ),
            models.CheckConstraint(
                condition=models.Q(weight__isnull=True) | models.Q(weight__gte=1, weight__lte=WEIGHT_MOST),
                name="providers_credential_weight",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.get_provider_display()})"

    def secret_place(self) -> Place:
        """What the secret is sealed for: this row of this organization."""
        return Place("providers_credential", self.pk, "sealed_secret", self.organization_id)

    def secret(self) -> str:
        """The provider's key in the clear, for a call upstream; empty if none is set. Raises SealingError."""
        if self.sealed_secret is None:
            return ""
        return settings.SEALING_KEYS.open(bytes(self.sealed_secret), self.secret_place())


class ProviderModel(SharedRow):
    """A model that a provider serves, under the name that clients ask for."""

    provider = models.CharField(_("provider"), max_length=32, choices=Provider)
    name = models.CharField(
        _("name"), max_length=255, validators=[MODEL_NAME], help_text=_("What clients send as `model`.")
    )
    upstream_name = models.CharField(
        _("upstream name"),
        max_length=255,
        blank=True,
        validators=[MODEL_NAME],
        help_text=_("The provider's own name for it (for Azure, the deployment); empty: the same."),
    )
    kind = models.CharField(_("kind"), max_length=16, choices=ModelKind, default=ModelKind.CHAT)
    credential = models.ForeignKey(
        Credential,
        on_delete=models.CASCADE,
        related_name="models",
        null=True,
        blank=True,
        verbose_name=_("credential"),
        help_text=_("Only this one serves the model; empty: any of the provider's."),
    )
    priced_as = models.CharField(
        _("priced as"),
        max_length=255,
        blank=True,
        validators=[MODEL_NAME],
        help_text=_("Price it as this model of the book, `name` or `provider/name`; empty: by its own name."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        ordering = ("name", "provider")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name", "provider", "credential"],
                name="providers_model_once",
                nulls_distinct=False,
                violation_error_message=_("This model is listed already."),
            ),
            models.CheckConstraint(condition=models.Q(provider__in=Provider.values), name="providers_model_provider"),
        ]

    def __str__(self) -> str:
        return self.name
