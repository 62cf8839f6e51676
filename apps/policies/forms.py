"""The console's forms about policies, budgets, webhooks and adjustments.

In a policy, empty is "not set": a wider layer decides. 0 is zero: none is allowed.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.audit.models import Adjustment
from apps.core.console import ConsoleForm
from apps.core.endpoints import SCOPES
from apps.core.ids import parse_request_id
from apps.core.theme import CheckboxSelectMultiple, Select, Textarea, TextInput
from apps.orgs.models import Organization
from apps.policies.models import (
    Attachment,
    Budget,
    FallbackReason,
    HoldEstimate,
    Layer,
    Policy,
    StoreFailure,
    Unpriced,
    Untranslatable,
    Webhook,
)
from apps.policies.usd import parse_usd, usd_text
from apps.providers.models import Credential, Provider
from apps.providers.prices.documents import when
from apps.services.models import Service, Token

NOT_SET = _("not set")


class LinesField(forms.CharField):
    """A list, an entry on each line."""

    def __init__(self, **options: Any) -> None:
        """As for any field."""
        super().__init__(
            required=False, strip=True, widget=Textarea(attrs={"rows": 3, "spellcheck": "false"}), **options
        )

    def prepare_value(self, value: Any) -> Any:
        """A list as text; what was typed stays as it was typed."""
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        """The entries."""
        text = super().to_python(value if not isinstance(value, list | tuple) else "\n".join(value))
        return [line.strip() for line in (text or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the entries differ."""
        return bool(list(initial or []) != self.to_python(data))


class CountField(forms.CharField):
    """A whole number; empty is "not set", 0 is zero. The action reads it, and says what is wrong with it."""

    def __init__(self, **options: Any) -> None:
        """As for any field."""
        attributes = {"inputmode": "numeric", "autocomplete": "off", "placeholder": NOT_SET}
        super().__init__(required=False, widget=TextInput(attrs=attributes), **options)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether it says something else; None and 0 are not the same."""
        return ("" if initial is None else str(initial)) != ("" if data is None else str(data).strip())


class _UsdField(forms.CharField):
    """An amount in US dollars, as plain digits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}), **options)

    def prepare_value(self, value: Any) -> Any:
        return usd_text(value) if isinstance(value, Decimal) else value

    def to_python(self, value: Any) -> Any:
        text = (super().to_python(value) or "").strip()
        if not text:
            return None
        try:
            return parse_usd(text, "amount")
        except ValidationError as refusal:
            raise ValidationError(refusal.messages) from refusal

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(initial != self.to_python(data))
        except ValidationError:
            return True


class _LevelsField(forms.CharField):
    """Whole percentages."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, widget=TextInput(attrs={"inputmode": "numeric"}), **options)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(str(level) for level in value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        words = re.split(r"[\s,;]+", (super().to_python(value) or "").replace("%", " ").strip())
        levels = [word for word in words if word]
        if wrong := [word for word in levels if not (word.isascii() and word.isdigit() and len(word) < 6)]:
            raise ValidationError(
                _("%(word)s is no whole percentage: write them as 50, 80, 100.") % {"word": wrong[0][:40]}
            )
        return [int(word) for word in levels]

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(list(initial or []) != self.to_python(data))
        except ValidationError:
            return True


def _choice(label: Any, choices: Iterable[tuple[str, Any]], help_text: Any = "") -> forms.ChoiceField:
    return forms.ChoiceField(
        choices=[("", NOT_SET), *choices], required=False, label=label, help_text=help_text, widget=Select()
    )


def _several(label: Any, choices: Iterable[tuple[str, Any]], help_text: Any = "") -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=list(choices), required=False, label=label, help_text=help_text, widget=CheckboxSelectMultiple()
    )


def _found_by_typing(
    rows: "QuerySet[Any]", reference: Any, *, label: Any, help_text: Any = ""
) -> "forms.ModelChoiceField[Any]":
    """A row found by typing, however many there are. `reference`: a field of a model that leads to such rows."""
    widget = AutocompleteSelect(reference, admin.site)
    return forms.ModelChoiceField(rows, required=False, label=label, help_text=help_text, widget=widget)


def _switch(label: Any, help_text: Any = "") -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=[("", NOT_SET), ("True", _("yes")), ("False", _("no"))],
        coerce=lambda value: str(value) == "True",
        empty_value=None,
        required=False,
        label=label,
        help_text=help_text,
        widget=Select(),
    )


# --- Policies ---

_COUNT = _("Empty: not set. 0: none.")


class RuleFields(forms.Form):
    """What a policy may say."""

    allowed_models = LinesField(
        label=_("Allowed models"), help_text=_("One on each line, exactly or as gpt-4o*, whatever the case. None: all.")
    )
    denied_models = LinesField(label=_("Denied models"), help_text=_("One on each line. Denying wins over allowing."))
    allowed_providers = _several(_("Allowed providers"), Provider.choices, _("None chosen: all."))
    denied_providers = _several(_("Denied providers"), Provider.choices)
    allowed_endpoints = _several(_("Allowed endpoints"), [(scope, scope) for scope in SCOPES], _("None chosen: all."))
    denied_endpoints = _several(_("Denied endpoints"), [(scope, scope) for scope in SCOPES])
    requests_per_minute = CountField(label=_("Requests per minute"), help_text=_COUNT)
    tokens_per_minute = CountField(label=_("Tokens per minute"), help_text=_COUNT)
    concurrent_requests = CountField(label=_("Concurrent requests"), help_text=_COUNT)
    end_user_requests_per_minute = CountField(label=_("Requests per minute, each end user"), help_text=_COUNT)
    end_user_tokens_per_minute = CountField(label=_("Tokens per minute, each end user"), help_text=_COUNT)
    end_user_concurrent_requests = CountField(label=_("Concurrent requests, each end user"), help_text=_COUNT)
    max_input_tokens = CountField(
        label=_("Input tokens"), help_text=_("Estimated before the call: four bytes are a token. Empty: not set.")
    )
    max_output_tokens = CountField(
        label=_("Output tokens"),
        help_text=_("Caps what a request asks for, and is asked for where it names none. Empty: not set."),
    )
    unpriced = _choice(_("Models without a price"), Unpriced.choices)
    hold_estimate = _choice(
        _("Held for a call"), HoldEstimate.choices, _("How much of a budget, until its cost is known.")
    )
    store_failure = _choice(_("While counters are away"), StoreFailure.choices)
    allowed_networks = LinesField(
        label=_("Allowed networks"), help_text=_("One on each line, such as 10.0.0.0/8. None: anywhere.")
    )
    allowed_hours = LinesField(
        label=_("Allowed hours"),
        help_text=_("One on each line, such as mon-fri 08:00-18:00, in the organization's time zone. None: always."),
    )
    preferred_provider = _choice(_("Preferred provider"), Provider.choices)
    pinned_credential = _found_by_typing(
        Credential.objects.all(),
        Policy._meta.get_field("pinned_credential"),
        label=_("Pinned credential"),
        help_text=_("The only one that is asked. Empty: not set."),
    )
    fallback_on = _several(
        _("Next route after"), FallbackReason.choices, _("Beside failures, after which it is tried anyway.")
    )
    hedge_after = CountField(
        label=_("Second attempt after (ms)"),
        help_text=_(
            "Without a first byte for so long, another route is asked as well; both are charged. Empty: not set. 0: never."
        ),
    )
    untranslatable = _choice(
        _("Untranslatable fields"), Untranslatable.choices, _("Of requests that the provider's dialect cannot express.")
    )
    hide_served = _switch(
        _("Hide what served"), _("Leaves out the answer's headers that name provider, model, attempts and cost.")
    )
    cache = _switch(_("Answers from cache"))
    cache_seconds = CountField(label=_("Seconds in the cache"), help_text=_("Empty: not set. 0: none."))


RULE_GROUPS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (
        _("Who may call what"),
        (
            "allowed_models",
            "denied_models",
            "allowed_providers",
            "denied_providers",
            "allowed_endpoints",
            "denied_endpoints",
        ),
    ),
    (
        _("How fast"),
        (
            "requests_per_minute",
            "tokens_per_minute",
            "concurrent_requests",
            "end_user_requests_per_minute",
            "end_user_tokens_per_minute",
            "end_user_concurrent_requests",
        ),
    ),
    (_("Per request"), ("max_input_tokens", "max_output_tokens")),
    (_("Money"), ("unpriced", "hold_estimate", "store_failure")),
    (_("Where and when"), ("allowed_networks", "allowed_hours")),
    (_("Routing"), ("preferred_provider", "pinned_credential", "fallback_on", "hedge_after")),
    (_("Answers"), ("untranslatable", "hide_served")),
    (_("Cache"), ("cache", "cache_seconds")),
)
RULE_NAMES = tuple(name for _title, names in RULE_GROUPS for name in names)
EMPTY_IS_NOT_ZERO = _("What is empty is not set: another layer decides. 0 is zero: nothing passes.")


class PolicyForm(RuleFields, ConsoleForm):
    """A policy with a name."""

    class Meta:
        model = Policy
        fields = ("organization", "name")
        help_texts = {"organization": _("Empty: the installation's, which can hold for every organization.")}

    def __init__(self, *args: Any, **options: Any) -> None:
        """With what the policy says as the start."""
        super().__init__(*args, **options)
        if self.instance._state.adding:
            return
        for name in RULE_NAMES:
            self.initial[name] = getattr(self.instance, name)


class RulesForm(RuleFields):
    """The own rules of one place."""

    def groups(self) -> Iterator[tuple[Any, list[forms.BoundField]]]:
        """The fields under their headings."""
        for title, names in RULE_GROUPS:
            yield title, [self[name] for name in names]


def attach_form(policy: Policy) -> type[forms.Form]:
    """Where to attach it: to the installation, or within its organization."""
    layers = (
        [Layer.INSTALLATION] if policy.organization_id is None else [Layer.ORGANIZATION, Layer.SERVICE, Layer.TOKEN]
    )
    fields: dict[str, Any] = {
        "layer": forms.ChoiceField(
            choices=[(layer.value, layer.label) for layer in layers], label=_("Attach it to"), widget=Select()
        )
    }
    if policy.organization_id is not None:
        for name, label in (("service", _("Which service")), ("token", _("Which token"))):
            reference: Any = Attachment._meta.get_field(name)
            rows = reference.related_model._default_manager.filter(organization=policy.organization_id)
            fields[name] = _found_by_typing(rows, reference, label=label, help_text=_("If it is attached to one."))
    return type("AttachForm", (forms.Form,), fields)


def choose_policy_form(organization: Organization | None) -> type[forms.Form]:
    """Which of the organization's policies, or the installation's."""
    rows = Policy.objects.filter(organization=organization).exclude(name="").order_by("name")
    missing = "" if rows.exists() else _("There is none yet: add one under Policies first.")
    return type(
        "ChoosePolicyForm",
        (forms.Form,),
        {
            "policy": forms.ModelChoiceField(
                rows, label=_("Policy"), empty_label=None, help_text=missing, widget=Select()
            )
        },
    )


def preview_form(policy: Policy) -> type[forms.Form]:
    """For which token a policy is looked at."""
    reference: Any = Attachment._meta.get_field("token")
    rows = reference.related_model._default_manager.all()
    if policy.organization_id is not None:
        rows = rows.filter(organization=policy.organization_id)
    field = _found_by_typing(rows, reference, label=_("As token"))
    field.required = True
    return type("PreviewForm", (forms.Form,), {"token": field})


# --- Budgets ---


class BudgetForm(ConsoleForm):
    """How much may be spent, by whom, and in which time."""

    limit_usd = _UsdField(
        label=_("Limit (USD)"), help_text=_("Plain digits, such as 25 or 0.50. 0: nothing may be spent.")
    )
    alert_at = _LevelsField(
        label=_("Alert at (%)"), help_text=_("Percentages of the limit, such as 50, 80, 100. Empty: no alerts.")
    )

    class Meta:
        model = Budget
        fields = (
            "organization",
            "scope",
            "service",
            "token",
            "policy",
            "end_user",
            "tag",
            "window",
            "rolling_days",
            "action",
        )


class AdjustForm(forms.Form):
    """A correction of what was spent."""

    amount_usd = _UsdField(
        label=_("Amount (USD)"), help_text=_("Such as 1.25: that much more was spent; -1.25: that much less.")
    )
    reason = forms.CharField(label=_("Reason"), max_length=300, widget=TextInput())


class AdjustmentForm(ConsoleForm):
    """A correction of what was spent, and whose."""

    amount_usd = _UsdField(
        label=_("Amount (USD)"), help_text=_("Such as 1.25: that much more was spent; -1.25: that much less.")
    )
    organization = _found_by_typing(
        Organization.objects.all(), Budget._meta.get_field("organization"), label=_("Organization")
    )
    service = _found_by_typing(Service.objects.all(), Budget._meta.get_field("service"), label=_("Service"))
    token = _found_by_typing(Token.objects.all(), Budget._meta.get_field("token"), label=_("Token"))
    tags = LinesField(label=_("Tags"), help_text=_("One on each line, such as team=search."))
    at = forms.CharField(
        label=_("Counts for (UTC)"),
        required=False,
        help_text=_("Such as 2026-11-01, its first moment, or 2026-11-01T08:00:00Z. Empty: now."),
        widget=TextInput(),
    )
    request_id = forms.CharField(
        label=_("Request"),
        required=False,
        help_text=_(
            "Instead of all that: the id (req_…) of a call that was charged wrongly; the rest its record says."
        ),
        widget=TextInput(),
    )

    class Meta:
        model = Adjustment
        fields = ("end_user", "reason")

    def __init__(self, *args: Any, **options: Any) -> None:
        """The organization is needed, whatever else is named."""
        super().__init__(*args, **options)
        self.fields["organization"].required = True

    def clean_at(self) -> datetime | None:
        """The time, if one is named."""
        try:
            return when(self.cleaned_data["at"]) if self.cleaned_data["at"] else None
        except ValueError as error:
            raise ValidationError(f"{error}.") from error

    def clean_request_id(self) -> UUID | None:
        """The request, if one is named."""
        text = self.cleaned_data["request_id"]
        found = parse_request_id(text) if text else None
        if text and found is None:
            raise ValidationError(_("That is no request's id: copy it from the record, req_ and 32 digits."))
        return found


class WebhookForm(ConsoleForm):
    """Where to tell of alerts."""

    class Meta:
        model = Webhook
        fields = ("organization", "url")
