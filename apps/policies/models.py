"""Policies and where they are attached; budgets, and what is said when they run low."""

from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.sealing import Place
from apps.orgs.models import OwnedRow, SharedRow
from apps.policies.effective import LIST_NAMES
from apps.providers.models import Credential
from apps.services.models import Service, Token

# The store counts in nano-USD, and its numbers are exact up to 2^53.
MOST_USD = Decimal(9_000_000)
MOST_COUNT = 1_000_000_000


class Unpriced(models.TextChoices):
    """What becomes of a call whose price is not known."""

    DENY_WITH_BUDGET = "deny_with_budget", _("deny where a budget applies, flag elsewhere")
    DENY = "deny", _("always deny")
    FLAG = "flag", _("flag the record")
    ALLOW = "allow", _("allow")


class HoldEstimate(models.TextChoices):
    """How much a budget holds for a call while it runs."""

    WORST_CASE = "worst_case", _("the most it can cost")
    TYPICAL = "typical", _("what such calls cost lately")


class StoreFailure(models.TextChoices):
    """What becomes of a call that limits or budgets apply to while their counters cannot be reached."""

    CLOSED = "closed", _("refuse it")
    OPEN = "open", _("let it pass")


class Untranslatable(models.TextChoices):
    """What becomes of a request's fields that the provider's dialect cannot express."""

    STRICT = "strict", _("refuse the call, naming the field")
    WARN = "warn", _("leave them out, and say so in the answer's headers")
    DROP = "drop", _("leave them out")


class FallbackReason(models.TextChoices):
    """Refusals of a provider after which the next route is tried, beside its failures."""

    CONTENT_FILTER = "content_filter", _("content filter")
    CONTEXT_LENGTH = "context_length", _("context length")


def _texts(label: Any, help_text: Any) -> "ArrayField[list[str], list[str]]":
    return ArrayField(
        models.CharField(max_length=255), verbose_name=label, default=list, blank=True, help_text=help_text
    )


def _count(label: Any, help_text: Any = "") -> "models.BigIntegerField[int | None, int | None]":
    return models.BigIntegerField(
        label,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MOST_COUNT)],
        help_text=help_text,
    )


# The counts of a policy; empty is "not set", and 0 allows none.
COUNT_FIELDS = (
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "end_user_requests_per_minute",
    "end_user_tokens_per_minute",
    "end_user_concurrent_requests",
    "max_input_tokens",
    "max_output_tokens",
)
LIST_FIELDS = LIST_NAMES
CHOICE_FIELDS = ("unpriced", "hold_estimate", "store_failure", "untranslatable", "preferred_provider")
SWITCH_FIELDS = ("hide_served", "cache")
# Whole numbers, all of them.
NUMBER_FIELDS = (*COUNT_FIELDS, "hedge_after", "cache_seconds")


class Policy(SharedRow):
    """Rules under a name, to be attached where they shall hold. Without a name: the rules of one place alone (inline).

    Of no organization: the installation's, which is attached to it alone.
    """

    name = models.CharField(_("name"), max_length=100, blank=True)
    allowed_models = _texts(_("allowed models"), _("Names or patterns such as gpt-4o*; none: all."))
    denied_models = _texts(_("denied models"), _("Names or patterns; they win over allowed ones."))
    allowed_providers = _texts(_("allowed providers"), _("None: all."))
    denied_providers = _texts(_("denied providers"), "")
    allowed_endpoints = _texts(_("allowed endpoints"), _("None: all."))
    denied_endpoints = _texts(_("denied endpoints"), "")
    allowed_networks = _texts(
        _("allowed networks"), _("Where calls may come from, such as 10.0.0.0/8; none: anywhere.")
    )
    allowed_hours = _texts(
        _("allowed hours"), _("Such as mon-fri 08:00-18:00, in the organization's time zone; none: always.")
    )
    requests_per_minute = _count(_("requests per minute"))
    tokens_per_minute = _count(_("tokens per minute"))
    concurrent_requests = _count(_("concurrent requests"))
    end_user_requests_per_minute = _count(_("requests per minute and end user"))
    end_user_tokens_per_minute = _count(_("tokens per minute and end user"))
    end_user_concurrent_requests = _count(_("concurrent requests per end user"))
    max_input_tokens = _count(_("input tokens per request"), _("Estimated before the call: four bytes are a token."))
    max_output_tokens = _count(
        _("output tokens per request"), _("Caps what a request asks for, and is asked for where it names none.")
    )
    unpriced = models.CharField(_("unpriced models"), max_length=16, choices=Unpriced, blank=True)
    hold_estimate = models.CharField(_("held for a call"), max_length=16, choices=HoldEstimate, blank=True)
    store_failure = models.CharField(_("without counters"), max_length=16, choices=StoreFailure, blank=True)
    preferred_provider = models.CharField(_("preferred provider"), max_length=32, blank=True)
    pinned_credential = models.ForeignKey(
        Credential,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("pinned credential"),
    )
    fallback_on = _texts(
        _("next route after"), _("Refusals after which the next route is tried: content_filter, context_length.")
    )
    hedge_after = _count(
        _("second attempt after (ms)"),
        _("Without a first byte for so long, a second route is asked as well. 0: never. Both are charged."),
    )
    untranslatable = models.CharField(_("untranslatable fields"), max_length=16, choices=Untranslatable, blank=True)
    hide_served = models.BooleanField(_("hide what served"), null=True, blank=True)
    cache = models.BooleanField(_("answers from cache"), null=True, blank=True)
    cache_seconds = _count(_("seconds an answer stays in the cache"))
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("policy")
        verbose_name_plural = _("policies")
        ordering = ("organization", "name")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=~Q(name=""),
                name="policies_policy_name",
                nulls_distinct=False,
                violation_error_message=_("A policy with this name exists."),
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__range": (0, MOST_COUNT)}),
                    name=f"policies_policy_{field}",
                )
                for field in NUMBER_FIELDS
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{field: ""}) | Q(**{f"{field}__in": choices.values}), name=f"policies_policy_{field}"
                )
                for field, choices in (
                    ("unpriced", Unpriced),
                    ("hold_estimate", HoldEstimate),
                    ("store_failure", StoreFailure),
                    ("untranslatable", Untranslatable),
                )
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(_("inline"))


class Layer(models.TextChoices):
    """Where a policy can be attached, from the widest to the narrowest."""

    INSTALLATION = "installation", _("installation")
    ORGANIZATION = "organization", _("organization")
    SERVICE = "service", _("service")
    TOKEN = "token", _("token")


class Attachment(SharedRow):
    """A policy holds here: for a token, a service, an organization, or (of no organization) the installation."""

    layer = models.CharField(_("layer"), max_length=16, choices=Layer)
    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("service")
    )
    token = models.ForeignKey(
        Token, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("token")
    )
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="attachments", verbose_name=_("policy"))
    inline = models.BooleanField(_("inline"), default=False)  # the policy is this place's own and has no name

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "layer", "service", "token", "inline"],
                name="policies_attachment_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(layer=Layer.INSTALLATION, organization=None, service=None, token=None)
                | Q(layer=Layer.ORGANIZATION, organization__isnull=False, service=None, token=None)
                | Q(layer=Layer.SERVICE, organization__isnull=False, service__isnull=False, token=None)
                | Q(layer=Layer.TOKEN, organization__isnull=False, service=None, token__isnull=False),
                name="policies_attachment_layer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy} · {self.get_layer_display()}"


class BudgetScope(models.TextChoices):
    """Whose spending a budget bounds."""

    ORGANIZATION = "organization", _("organization")
    SERVICE = "service", _("service")
    TOKEN = "token", _("token")
    END_USER = "end_user", _("end user")
    TAG = "tag", _("tag")
    POLICY = "policy", _("each holder of a policy")


class Window(models.TextChoices):
    """How long a budget lasts before it begins anew, by the organization's calendar."""

    DAY = "day", _("day")
    WEEK = "week", _("week, from Monday")
    MONTH = "month", _("month")
    TOTAL = "total", _("total")
    ROLLING = "rolling", _("rolling days")


class BudgetAction(models.TextChoices):
    """What becomes of a call that a budget has no room for."""

    BLOCK = "block", _("refuse the call")
    ALERT = "alert", _("alert only")


class Budget(OwnedRow):
    """How much may be spent, by whom, and in which time."""

    scope = models.CharField(_("scope"), max_length=16, choices=BudgetScope)
    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("service")
    )
    token = models.ForeignKey(
        Token, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("token")
    )
    policy = models.ForeignKey(
        Policy, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets", verbose_name=_("policy")
    )
    end_user = models.CharField(
        _("end user"), max_length=255, blank=True, help_text=_("As sent in `user`; * gives every end user this budget.")
    )
    tag = models.CharField(_("tag"), max_length=255, blank=True, help_text=_("Such as team=search."))
    window = models.CharField(_("window"), max_length=16, choices=Window)
    rolling_days = models.PositiveSmallIntegerField(
        _("rolling days"), null=True, blank=True, help_text=_("Today and the days before it; from 2 to 366.")
    )
    limit_usd = models.DecimalField(
        _("limit (USD)"),
        max_digits=16,
        decimal_places=9,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(MOST_USD)],
    )
    action = models.CharField(_("action"), max_length=16, choices=BudgetAction, default=BudgetAction.BLOCK)
    alert_at = ArrayField(
        models.PositiveSmallIntegerField(),
        verbose_name=_("alert at"),
        default=list,
        blank=True,
        help_text=_("Percentages of the limit, such as 50, 80, 100."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        ordering = ("organization", "scope", "window")
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "organization",
                    "scope",
                    "service",
                    "token",
                    "policy",
                    "end_user",
                    "tag",
                    "window",
                    "rolling_days",
                ],
                name="policies_budget_once",
                nulls_distinct=False,
                violation_error_message=_("This scope has a budget for this window: change that one."),
            ),
            models.CheckConstraint(
                condition=Q(scope=BudgetScope.ORGANIZATION, service=None, token=None, policy=None, end_user="", tag="")
                | Q(scope=BudgetScope.SERVICE, service__isnull=False, token=None, policy=None, end_user="", tag="")
                | Q(scope=BudgetScope.TOKEN, service=None, token__isnull=False, policy=None, end_user="", tag="")
                | Q(scope=BudgetScope.POLICY, service=None, token=None, policy__isnull=False, end_user="", tag="")
                | Q(scope=BudgetScope.END_USER, service=None, token=None, policy=None, tag="") & ~Q(end_user="")
                | Q(scope=BudgetScope.TAG, service=None, token=None, policy=None, end_user="") & ~Q(tag=""),
                name="policies_budget_scope",
            ),
            models.CheckConstraint(
                condition=Q(window=Window.ROLLING, rolling_days__range=(2, 366))
                | ~Q(window=Window.ROLLING) & Q(window__in=Window.values, rolling_days=None),
                name="policies_budget_window",
            ),
            models.CheckConstraint(condition=Q(limit_usd__range=(Decimal(0), MOST_USD)), name="policies_budget_limit"),
            models.CheckConstraint(condition=Q(action__in=BudgetAction.values), name="policies_budget_action"),
        ]

    def window_words(self) -> str:
        """month; 7 days, rolling."""
        if self.window == Window.ROLLING:
            return gettext("%(days)d days, rolling") % {"days": self.rolling_days or 0}
        return str(self.get_window_display())

    def __str__(self) -> str:
        subject = self.service or self.token or self.policy or self.end_user or self.tag
        window = f"{self.rolling_days} {self.get_window_display()}" if self.rolling_days else self.get_window_display()
        return f"{self.get_scope_display()}{f' {subject}' if subject else ''} · {window} · {self.limit_usd.normalize():f} USD"


class Webhook(OwnedRow):
    """Where an organization is told about its budgets: a URL of its own, with a secret that signs what we send."""

    url = models.CharField(_("URL"), max_length=500)
    sealed_secret = models.BinaryField(_("secret"), editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("organization", "url")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "url"],
                name="policies_webhook_once",
                violation_error_message=_("This URL is told already."),
            )
        ]

    def __str__(self) -> str:
        return self.url

    def secret_place(self) -> Place:
        """What the secret is sealed for: this row of this organization."""
        return Place("policies_webhook", self.pk, "sealed_secret", self.organization_id)


class BudgetAlert(OwnedRow):
    """A budget has reached one of its levels in one window: once each, however many notice it."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="alerts", verbose_name=_("budget"))
    subject = models.CharField(
        _("subject"), max_length=255, blank=True
    )  # which holder or end user, where a budget has several
    window_start = models.DateTimeField(_("window from"))
    level = models.PositiveSmallIntegerField(_("level"))  # percent
    spent_usd = models.DecimalField(_("spent"), max_digits=24, decimal_places=12)
    limit_usd = models.DecimalField(_("limit"), max_digits=16, decimal_places=9)
    created_at = models.DateTimeField(_("time"), default=now, editable=False)

    class Meta:
        verbose_name = _("budget alert")
        verbose_name_plural = _("budget alerts")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["budget", "subject", "window_start", "level"], name="policies_alert_once")
        ]

    def __str__(self) -> str:
        return f"{self.budget} · {self.level} %"


class CredentialAlert(SharedRow):
    """A provider refuses a credential, which an operator must mend. Of no organization: the installation's credential."""

    credential = models.ForeignKey(
        Credential, on_delete=models.CASCADE, related_name="alerts", verbose_name=_("credential")
    )
    status = models.PositiveSmallIntegerField(_("status"))  # HTTP's
    model = models.CharField(_("model"), max_length=255, blank=True)  # empty: it is refused for all
    created_at = models.DateTimeField(_("time"), default=now, editable=False)

    class Meta:
        verbose_name = _("credential alert")
        verbose_name_plural = _("credential alerts")
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.credential} · {self.status}"


class Channel(models.TextChoices):
    """How an alert travels."""

    EMAIL = "email", _("e-mail")
    WEBHOOK = "webhook", _("webhook")


class DeliveryState(models.TextChoices):
    """Whether an alert has arrived."""

    PENDING = "pending", _("pending")
    SENT = "sent", _("sent")
    FAILED = "failed", _("failed")


class AlertDelivery(SharedRow):
    """One alert, of a budget or of a credential, on its way to one address: what was tried, and with which result."""

    alert = models.ForeignKey(
        BudgetAlert,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="deliveries",
        verbose_name=_("budget alert"),
    )
    credential_alert = models.ForeignKey(
        CredentialAlert,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="deliveries",
        verbose_name=_("credential alert"),
    )
    channel = models.CharField(_("channel"), max_length=16, choices=Channel)
    target = models.CharField(_("to"), max_length=500)
    state = models.CharField(_("state"), max_length=16, choices=DeliveryState, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, default=now)
    error = models.CharField(_("error"), max_length=300, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), default=now, editable=False)

    class Meta:
        verbose_name = _("alert delivery")
        verbose_name_plural = _("alert deliveries")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["alert", "channel", "target"], name="policies_delivery_once"),
            models.UniqueConstraint(
                fields=["credential_alert", "channel", "target"], name="policies_delivery_of_credential_once"
            ),
            models.CheckConstraint(
                condition=Q(alert__isnull=True, credential_alert__isnull=False)
                | Q(alert__isnull=False, credential_alert__isnull=True),
                name="policies_delivery_of_one",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="policies_delivery_due", condition=Q(state=DeliveryState.PENDING)
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.target}"
