"""What policies say, in words."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.numbers import separated
from apps.policies.effective import DEFAULT_LAYER, LIST_NAMES, set_fields
from apps.policies.forms import RuleFields
from apps.policies.models import HoldEstimate, Layer, StoreFailure, Unpriced, Untranslatable
from apps.providers.models import Credential, Provider

_ENTRIES_SHOWN = 4
_CHOICES: Mapping[str, Callable[[str], Any]] = {
    "unpriced": lambda value: Unpriced(value).label,
    "hold_estimate": lambda value: HoldEstimate(value).label,
    "store_failure": lambda value: StoreFailure(value).label,
    "untranslatable": lambda value: Untranslatable(value).label,
    "preferred_provider": lambda value: Provider(value).label,
}
_SHORT = {
    "allowed_models": gettext_lazy("only %(value)s"),
    "denied_models": gettext_lazy("not %(value)s"),
    "allowed_providers": gettext_lazy("only at %(value)s"),
    "denied_providers": gettext_lazy("not at %(value)s"),
    "allowed_endpoints": gettext_lazy("only %(value)s"),
    "denied_endpoints": gettext_lazy("not %(value)s"),
    "allowed_networks": gettext_lazy("from %(value)s"),
    "allowed_hours": gettext_lazy("%(value)s"),
    "requests_per_minute": gettext_lazy("%(value)s requests/min"),
    "tokens_per_minute": gettext_lazy("%(value)s tokens/min"),
    "concurrent_requests": gettext_lazy("%(value)s at once"),
    "end_user_requests_per_minute": gettext_lazy("%(value)s requests/min and end user"),
    "end_user_tokens_per_minute": gettext_lazy("%(value)s tokens/min and end user"),
    "end_user_concurrent_requests": gettext_lazy("%(value)s at once per end user"),
    "max_input_tokens": gettext_lazy("input ≤ %(value)s"),
    "max_output_tokens": gettext_lazy("output ≤ %(value)s"),
    "unpriced": gettext_lazy("unpriced: %(value)s"),
    "hold_estimate": gettext_lazy("holds %(value)s"),
    "store_failure": gettext_lazy("without counters: %(value)s"),
    "preferred_provider": gettext_lazy("rather %(value)s"),
    "pinned_credential": gettext_lazy("pinned to %(value)s"),
    "fallback_on": gettext_lazy("next route after %(value)s"),
    "hedge_after": gettext_lazy("second attempt after %(value)s ms"),
    "untranslatable": gettext_lazy("untranslatable: %(value)s"),
    "hide_served": gettext_lazy("hides what served: %(value)s"),
    "cache": gettext_lazy("cache: %(value)s"),
    "cache_seconds": gettext_lazy("cached %(value)s s"),
}


def field_label(name: str) -> Any:
    """What a rule is called, as in the form."""
    return RuleFields.base_fields[name].label


def value_words(name: str, value: Any, *, most: int = 0) -> str:
    """A rule's value: entries in a row, thousands apart, choices by their words. `most`: entries shown of a list; 0: all."""
    if name in LIST_NAMES:
        entries = list(value)
        shown = ", ".join(entries[:most] if most else entries)
        more = len(entries) - most if most else 0
        return _("%(shown)s and %(more)d more") % {"shown": shown, "more": more} if more > 0 else shown
    if name in _CHOICES:
        return str(_CHOICES[name](value))
    if name == "pinned_credential":
        return _credential(value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return separated(f"{value:,}")


def summary(rules: Any) -> str:
    """A policy, or Rules, on one line; what sets nothing says so."""
    fields = set_fields(rules)
    parts = [
        str(_SHORT[name]) % {"value": value_words(name, value, most=_ENTRIES_SHOWN)} for name, value in fields.items()
    ]
    return " · ".join(parts) or _("nothing yet")


def rule_lines(rules: Any) -> list[tuple[Any, str]]:
    """A policy, or Rules, as (what, value)."""
    return [(field_label(name), value_words(name, value)) for name, value in set_fields(rules).items()]


def layer_words(layer: str) -> str:
    """What a layer is called; the default is one as well."""
    return _("default") if layer == DEFAULT_LAYER else str(Layer(layer).label)


def _credential(value: Any) -> str:
    if isinstance(value, Credential):
        return value.label
    found = Credential.objects.filter(pk=value).first()  # Rules hold the id alone
    return found.label if found is not None else str(value)
