"""What an operator may write in a policy's fields: read, put into one form, or refused with the remedy."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Network, ip_interface, ip_network
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.core.endpoints import SCOPES
from apps.policies.effective import RULE_FIELDS
from apps.policies.hours import parse_hours
from apps.policies.models import (
    MOST_COUNT,
    NUMBER_FIELDS,
    SWITCH_FIELDS,
    FallbackReason,
    HoldEstimate,
    Policy,
    StoreFailure,
    Unpriced,
    Untranslatable,
)
from apps.providers.models import Credential, Provider
from apps.providers.names import model_name_is_valid

MOST_ENTRIES = 1000  # of one list
_MOST_CHARACTERS = 255
_NAME_CHARACTERS = 100
_CHOICES: Mapping[str, Sequence[str]] = {
    "unpriced": Unpriced.values,
    "hold_estimate": HoldEstimate.values,
    "store_failure": StoreFailure.values,
    "untranslatable": Untranslatable.values,
    "preferred_provider": Provider.values,
}


def set_policy_fields(policy: Policy, fields: Mapping[str, Any]) -> None:
    """Put `fields` into an unsaved or locked policy, in one form: trimmed, without repetitions, None or empty for "not set".

    Names not in `fields` stay as they are. Raises ValidationError with everything that is wrong, by field; TypeError for a field
    that no policy has. `policy.organization` must be there already.
    """
    if unknown := fields.keys() - {*RULE_FIELDS, "name"}:
        raise TypeError(f"a policy has no {', '.join(sorted(unknown))}")
    errors: dict[str, list[str]] = {}
    for field, value in fields.items():
        try:
            setattr(policy, field, _READERS[field](field, value))
        except ValidationError as error:
            errors[field] = error.messages
    for field, message in _contradictions(policy):
        if field not in errors:
            errors[field] = [message]
    if errors:
        raise ValidationError(errors)


# --- One field ---


def _count(_field: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and text.isascii() and text.removeprefix("-").isdigit() and len(text) < 30:
        text = int(text)
    if not isinstance(text, int) or isinstance(text, bool):
        raise ValidationError(
            _("%(value)s is not a whole number: use 0 to %(most)s, or nothing for “not set”.")
            % {"value": _shown(value), "most": MOST_COUNT}
        )
    if text < 0:
        raise ValidationError(
            _("%(value)s is negative: use 0 for none allowed, or nothing for “not set”.") % {"value": text}
        )
    if text > MOST_COUNT:
        raise ValidationError(
            _("%(value)s is too large: use at most %(most)s, or nothing for “not set”.")
            % {"value": text, "most": MOST_COUNT}
        )
    return text


def _choice(field: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    chosen = value.strip().lower() if isinstance(value, str) else value
    if chosen not in _CHOICES[field]:
        raise ValidationError(
            _("%(value)s: no such choice; use one of %(choices)s, or nothing for “not set”.")
            % {"value": _shown(value), "choices": ", ".join(_CHOICES[field])}
        )
    return str(chosen)


def _switch(_field: str, value: Any) -> bool | None:
    if value is None or value == "":
        return None
    if not isinstance(value, bool):
        raise ValidationError(_("%(value)s: use yes, no, or nothing for “not set”.") % {"value": _shown(value)})
    return value


def _credential(_field: str, value: Any) -> Credential | None:
    if value is None or value == "":
        return None
    if not isinstance(value, Credential):
        raise TypeError("pinned_credential is a Credential")
    return value


def _name(_field: str, value: Any) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not name:
        raise ValidationError(_("Give the policy a name."))
    if len(name) > _NAME_CHARACTERS:
        raise ValidationError(_("The name is too long: use at most %(most)s characters.") % {"most": _NAME_CHARACTERS})
    if not name.isprintable():
        raise ValidationError(_("The name holds control characters: use letters, digits and signs."))
    return name


def _list(entry: Callable[[str], str]) -> Callable[[str, Any], list[str]]:
    """A reader of lists whose entries `entry` reads."""

    def read(_field: str, value: Any) -> list[str]:
        if value is None or value == "":
            return []
        if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
            raise ValidationError(_("%(value)s is not a list.") % {"value": _shown(value)})
        if len(value) > MOST_ENTRIES:
            raise ValidationError(
                _("%(count)s entries are too many: use at most %(most)s; patterns such as gpt-4o* stand for several.")
                % {"count": len(value), "most": MOST_ENTRIES}
            )
        found: dict[str, str] = {}
        for text in value:
            if not isinstance(text, str) or not text.strip():
                raise ValidationError(_("An entry is empty: leave it out."))
            trimmed = text.strip()
            if len(trimmed) > _MOST_CHARACTERS or not trimmed.isprintable():
                raise ValidationError(
                    _("%(value)s: use at most %(most)s characters, none of them a control character.")
                    % {"value": _shown(text), "most": _MOST_CHARACTERS}
                )
            kept = entry(trimmed)
            found.setdefault(kept.casefold(), kept)
        return list(found.values())

    return read


def _model(text: str) -> str:
    # A star or question mark stands for characters that a name may have, wherever a name may have them.
    if not model_name_is_valid(text.replace("*", "a").replace("?", "a")):
        raise ValidationError(
            _(
                "%(value)s fits no model's name: use letters, digits and . _ : / @ + -, with * for any characters and ? for one."
            )
            % {"value": _shown(text)}
        )
    return text


def _provider(text: str) -> str:
    return _one_of(text, Provider.values, _("%(value)s is no provider: use %(choices)s."))


def _endpoint(text: str) -> str:
    return _one_of(text, SCOPES, _("%(value)s is no endpoint: use %(choices)s."))


def _reason(text: str) -> str:
    return _one_of(text, FallbackReason.values, _("%(value)s is no reason to try the next route: use %(choices)s."))


def _one_of(text: str, choices: Sequence[str], sentence: str) -> str:
    if text.lower() not in choices:
        raise ValidationError(sentence % {"value": _shown(text), "choices": ", ".join(choices)})
    return text.lower()


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
        whole = ip_interface(text).ip == network.network_address
    except ValueError:
        raise ValidationError(
            _("%(value)s is no network: write it as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32.") % {"value": _shown(text)}
        ) from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
        inside = ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}", strict=False)
        raise ValidationError(
            _("%(value)s stands for IPv4 addresses: write %(network)s.") % {"value": _shown(text), "network": inside}
        )
    if not whole:
        raise ValidationError(
            _("%(value)s has an address within a network: write %(network)s, or %(address)s alone.")
            % {"value": _shown(text), "network": network, "address": text.partition("/")[0]}
        )
    return str(network)


def _hours(text: str) -> str:
    try:
        parse_hours(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
    return " ".join(text.lower().split())


def _shown(value: Any) -> str:
    """A value as a message quotes it: in short, and without control characters."""
    text = repr(value) if not isinstance(value, str) or not value.isprintable() else value
    return text if len(text) <= 60 else f"{text[:60]}…"


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "name": _name,
    "allowed_models": _list(_model),
    "denied_models": _list(_model),
    "allowed_providers": _list(_provider),
    "denied_providers": _list(_provider),
    "allowed_endpoints": _list(_endpoint),
    "denied_endpoints": _list(_endpoint),
    "allowed_networks": _list(_network),
    "allowed_hours": _list(_hours),
    "fallback_on": _list(_reason),
    **dict.fromkeys(NUMBER_FIELDS, _count),
    **dict.fromkeys(_CHOICES, _choice),
    "pinned_credential": _credential,
    **dict.fromkeys(SWITCH_FIELDS, _switch),
}


# --- Fields that contradict each other ---


def _contradictions(policy: Policy) -> list[tuple[str, str]]:
    found = []
    for kind in ("models", "providers", "endpoints"):
        allowed = {text.casefold() for text in getattr(policy, f"allowed_{kind}")}
        both = [text for text in getattr(policy, f"denied_{kind}") if text.casefold() in allowed]
        if both:
            found.append(
                (
                    f"denied_{kind}",
                    _("%(values)s: both allowed and denied; take it off one of the lists.")
                    % {"values": ", ".join(both)},
                )
            )
    if policy.preferred_provider and _denies(policy, policy.preferred_provider):
        found.append(
            (
                "preferred_provider",
                _("%(provider)s is denied by this policy's own lists: allow it, or prefer another.")
                % {"provider": policy.preferred_provider},
            )
        )
    pinned = policy.pinned_credential
    if pinned is not None:
        found += [("pinned_credential", message) for message in _pinned_wrongly(policy, pinned)][:1]
    return found


def _pinned_wrongly(policy: Policy, pinned: Credential) -> list[str]:
    found = []
    if pinned.organization_id is not None and pinned.organization_id != policy.organization_id:
        found.append(
            _("%(credential)s belongs to another organization: use one of this organization's or the installation's.")
            % {"credential": pinned}
            if policy.organization_id is not None
            else _("%(credential)s belongs to one organization: the installation's policies use its own credentials.")
            % {"credential": pinned}
        )
    if _denies(policy, pinned.provider):
        found.append(
            _("%(credential)s is of a provider that this policy's own lists deny: allow it, or pin another.")
            % {"credential": pinned}
        )
    return found


def _denies(policy: Policy, provider: str) -> bool:
    allowed = policy.allowed_providers
    return provider in policy.denied_providers or bool(allowed and provider not in allowed)
