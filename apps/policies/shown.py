"""What policies say, as operators read it."""

from typing import Any

from django.utils.translation import gettext_lazy

from apps.policies.effective import RULE_FIELDS, Rules, set_fields
from apps.policies.models import Policy
from apps.providers.models import Credential

_KINDS = {
    "requests": gettext_lazy("requests per minute"),
    "tokens": gettext_lazy("tokens per minute"),
    "concurrency": gettext_lazy("concurrent requests"),
}
_WIDTH = max(len(name) for name in RULE_FIELDS) + 2


def limit_kind(kind: str) -> str:
    """What a limit counts (apps.policies.effective.Limit.kind), in words."""
    return str(_KINDS[kind])


def rule_lines(values: Policy | Rules) -> list[str]:
    """A line for each field that is set: its name as the options of set_policy have it, and its value as they take it."""
    return [f"{field_name(name):<{_WIDTH}}{field_value(name, value)}" for name, value in set_fields(values).items()]


def field_name(name: str) -> str:
    """As set_policy's option, without its dashes: max-output-tokens."""
    return name.replace("_", "-")


def field_value(name: str, value: Any) -> str:
    """As set_policy takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ("; " if name == "allowed_hours" else ", ").join(value)
    return value.label if isinstance(value, Credential) else str(value)
