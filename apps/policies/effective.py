"""What a token may do, and which layer says so: one pure function from the policies that hold for it.

No Django but for marks on what can be translated: the gateway says it in English, the control plane in the reader's language.

Layers, strongest first: the token's own rules (inline), the token's policy, the service's own, the service's policy, the
organization's own, its policy, the installation's own, its policy. How they combine depends on what a field is:

- lists: every allow list that is not empty must allow, and any deny list that matches denies;
- caps for one request: the narrowest value of all layers;
- limits: each counts at the place it is attached to, and all of them hold. At one place its own rules come before its policy;
  the installation's default counts for each organization, and the lower of that and the organization's own holds;
- safeguards (unpriced, hold_estimate, store_failure, untranslatable): the strictest that any layer asks for;
- choices: the first layer that makes one.

So no narrower layer widens what a wider one restricts. None, "" and an empty list are "not set"; 0 allows none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_noop

from apps.policies.hours import hours_hold
from apps.policies.patterns import NamePatterns, exact_names, name_patterns

LAYERS: Final = ("token", "service", "organization", "installation")  # strongest first

# What holds where no layer makes a choice.
DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unpriced": "deny_with_budget",
        "hold_estimate": "worst_case",
        "store_failure": "closed",
        "untranslatable": "warn",
    }
)
# What money, safety and meaning depend on, the strictest first.
SAFEGUARDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "unpriced": ("deny", "deny_with_budget", "flag", "allow"),
        "hold_estimate": ("worst_case", "typical"),
        "store_failure": ("closed", "open"),
        "untranslatable": ("strict", "warn", "drop"),
    }
)
DEFAULT_LAYER: Final = "default"  # the layer of those

type Say = Callable[[str], str]
"""Puts a text of ours into the reader's language, as gettext does; `str` leaves it in English."""

_OF_POLICY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "token": gettext_noop("the token's policy “%(policy)s”"),
        "service": gettext_noop("the service's policy “%(policy)s”"),
        "organization": gettext_noop("the organization's policy “%(policy)s”"),
        "installation": gettext_noop("the installation's policy “%(policy)s”"),
    }
)
_OF_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "token": gettext_noop("the token's own rules"),
        "service": gettext_noop("the service's own rules"),
        "organization": gettext_noop("the organization's own rules"),
        "installation": gettext_noop("the installation's own rules"),
        DEFAULT_LAYER: gettext_noop("the default"),
    }
)
_AND_MORE: Final = gettext_noop("%(values)s and %(count)d more")

_LIMITS = (
    ("requests", "requests_per_minute"),
    ("tokens", "tokens_per_minute"),
    ("concurrency", "concurrent_requests"),
)
_RANK = {layer: rank for rank, layer in enumerate(LAYERS)}
_ANSWERS_KEPT = 512  # per list and token; clients choose the names they ask for
_VALUES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One attached policy as plain values. Ids are 32 hexadecimal digits.

    `subject`: the token, service or organization it is attached to; for the installation's, the organization that asks.
    """

    policy_id: str
    name: str  # "" for inline rules
    layer: str
    inline: bool
    subject: str
    allowed_models: tuple[str, ...] = ()
    denied_models: tuple[str, ...] = ()
    allowed_providers: tuple[str, ...] = ()
    denied_providers: tuple[str, ...] = ()
    allowed_endpoints: tuple[str, ...] = ()
    denied_endpoints: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    allowed_hours: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    end_user_requests_per_minute: int | None = None
    end_user_tokens_per_minute: int | None = None
    end_user_concurrent_requests: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    unpriced: str = ""
    hold_estimate: str = ""
    store_failure: str = ""
    preferred_provider: str = ""
    pinned_credential: str = ""
    fallback_on: tuple[str, ...] = ()
    hedge_after: int | None = None
    untranslatable: str = ""
    hide_served: bool | None = None
    cache: bool | None = None
    cache_seconds: int | None = None

    @property
    def restricts(self) -> bool:
        """Whether any of its allow and deny lists says anything."""
        return any(getattr(self, name) for name in RESTRICTIONS)


RESTRICTIONS: Final = (
    "allowed_models",
    "denied_models",
    "allowed_providers",
    "denied_providers",
    "allowed_endpoints",
    "denied_endpoints",
    "allowed_networks",
    "allowed_hours",
)
LIST_NAMES: Final = (*RESTRICTIONS, "fallback_on")
# What a policy says, in the order shown: everything but what and where it is.
RULE_FIELDS: Final = tuple(
    name
    for name in Rules.__dataclass_fields__  # plain order of declaration
    if name not in {"policy_id", "name", "layer", "inline", "subject"}
)


def rules_from_row(row: Mapping[str, Any]) -> Rules:
    """A row of a policy's columns with `layer`, `inline` and `subject` (POLICY_LAYERS_SQL in apps.policies.selectors)."""
    values = {name: row[name] for name in RULE_FIELDS if name != "pinned_credential"}
    values.update((name, tuple(values[name])) for name in LIST_NAMES)
    pinned = row["pinned_credential_id"]
    return Rules(
        policy_id=row["id"].hex,
        name=row["name"],
        layer=row["layer"],
        inline=row["inline"],
        subject=row["subject"].hex,
        pinned_credential="" if pinned is None else pinned.hex,
        **values,
    )


def set_fields(values: Any) -> dict[str, Any]:
    """What a policy (a row or Rules) really says: its fields that are set, in the order shown. 0 and False are set."""
    return {
        name: getattr(values, name)
        for name in RULE_FIELDS
        if (getattr(values, name) if name in LIST_NAMES else getattr(values, name) not in (None, ""))
    }


@dataclass(frozen=True, slots=True)
class Limit:
    """So many at once (concurrency) or in a minute, counted for one place together.

    `scope`: token, service, organization, or end_user, which counts each end user of the place apart. `subject`: the place.
    `layer` and `policy_name` say where it comes from: an organization's limit may be the installation's.
    """

    scope: str
    subject: str
    kind: str  # requests, tokens or concurrency
    limit: int
    layer: str
    policy_name: str  # "" for inline rules


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from. `layer` is DEFAULT_LAYER where none is set; `policy` is "" there and for inline rules."""

    layer: str
    policy: str

    def describe(self, say: Say = str) -> str:
        """the organization's policy “interns”; the token's own rules; the default."""
        if self.policy:
            return say(_OF_POLICY[self.layer]) % {"policy": self.policy}
        return say(_OF_RULES[self.layer])


@dataclass(frozen=True, slots=True)
class Denial:
    """A list refuses. `rule` is the list's field; `values` are the entries that deny, or all of those that would allow."""

    rule: str
    layer: str
    policy: str  # "" for inline rules
    values: tuple[str, ...]

    def describe(self, say: Say = str) -> str:
        """Such as: the organization's policy “interns” (denied models: gpt-5*)."""
        shown = ", ".join(self.values[:_VALUES_SHOWN])
        more = len(self.values) - _VALUES_SHOWN
        if more > 0:
            shown = say(_AND_MORE) % {"values": shown, "count": more}
        rule = say(self.rule.replace("_", " "))  # as the policy's form names it
        return f"{Source(self.layer, self.policy).describe(say)} ({rule}: {shown})"


class _Lists:
    """The allow and deny lists of one kind, over all layers. Remembers its answers: the same few names are asked for."""

    __slots__ = ("_answers", "_lists")

    def __init__(self, layers: Iterable[Rules], kind: str, compiled: Callable[[tuple[str, ...]], NamePatterns]) -> None:
        self._answers: dict[tuple[str, ...], Denial | None] = {}
        self._lists: list[tuple[Rules, str, bool, NamePatterns]] = []
        for rules in layers:
            for name, allows in ((f"denied_{kind}", False), (f"allowed_{kind}", True)):
                if texts := getattr(rules, name):
                    self._lists.append((rules, name, allows, compiled(texts)))

    def denied(self, *names: str) -> Denial | None:
        """Who refuses what has these names: a deny list by any of them, an allow list if it has none of them."""
        if not self._lists:
            return None
        try:
            return self._answers[names]
        except KeyError:
            pass
        answer = self._ask(names)
        if len(self._answers) >= _ANSWERS_KEPT:
            self._answers.clear()
        self._answers[names] = answer
        return answer

    def barred(self, *names: str) -> Denial | None:
        """Who refuses what has these names by a deny list."""
        for rules, rule, allows, patterns in self._lists:
            if not allows and (match := _first_match(patterns, names)) is not None:
                return Denial(rule, rules.layer, rules.name, (match,))
        return None

    def _ask(self, names: tuple[str, ...]) -> Denial | None:
        for rules, rule, allows, patterns in self._lists:
            match = _first_match(patterns, names)
            if allows and match is None:
                return Denial(rule, rules.layer, rules.name, patterns.texts)
            if not allows and match is not None:
                return Denial(rule, rules.layer, rules.name, (match,))
        return None


def _first_match(patterns: NamePatterns, names: tuple[str, ...]) -> str | None:
    return next((match for name in names if (match := patterns.match(name)) is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectivePolicy:
    """What holds for a token. Build it with `effective_policy`. `sources` names the layer of each value that is set."""

    layers: tuple[Rules, ...]  # strongest first
    max_input_tokens: int | None
    max_output_tokens: int | None
    unpriced: str
    hold_estimate: str
    store_failure: str
    preferred_provider: str
    pinned_credential: str
    fallback_on: tuple[str, ...]
    hedge_after: int | None  # milliseconds; None and 0: never
    untranslatable: str
    hide_served: bool | None
    cache: bool | None
    cache_seconds: int | None
    limits: tuple[Limit, ...]
    sources: Mapping[str, Source]
    is_open: bool  # no list restricts anything: none of the questions below needs to be asked
    _models: _Lists = field(repr=False)
    _providers: _Lists = field(repr=False)
    _endpoints: _Lists = field(repr=False)
    _networks: tuple[Rules, ...] = field(repr=False)
    _hours: tuple[Rules, ...] = field(repr=False)

    def endpoint_denied(self, endpoint: str) -> Denial | None:
        """Who refuses this endpoint (apps.core.endpoints)."""
        return self._endpoints.denied(endpoint)

    def model_denied(self, *names: str) -> Denial | None:
        """Who refuses this model, by the name that the client asked for: two names, where it asked for `provider/model`."""
        return self._models.denied(*names)

    def model_barred(self, *names: str) -> Denial | None:
        """Who refuses a route to this model by a deny list, whatever the name that the client asked for."""
        return self._models.barred(*names)

    def provider_denied(self, provider: str) -> Denial | None:
        """Who refuses this provider: its routes are not taken."""
        return self._providers.denied(provider)

    def network_denied(self, address: str) -> Denial | None:
        """Who refuses calls from this address. One that cannot be read is in no network."""
        if not self._networks:
            return None
        try:
            caller: IPv4Address | IPv6Address | None = ip_address(address)
        except ValueError:
            caller = None
        if isinstance(caller, IPv6Address) and caller.ipv4_mapped is not None:
            caller = caller.ipv4_mapped
        for rules in self._networks:
            if caller is None or not any(caller in network for network in _networks(rules.allowed_networks)):
                return Denial("allowed_networks", rules.layer, rules.name, rules.allowed_networks)
        return None

    def hours_denied(self, at: datetime, zone: ZoneInfo) -> Denial | None:
        """Who refuses calls at this time (with its zone), by the clocks of `zone`, the organization's."""
        for rules in self._hours:
            if not hours_hold(rules.allowed_hours, at, zone):
                return Denial("allowed_hours", rules.layer, rules.name, rules.allowed_hours)
        return None


def effective_policy(layers: Sequence[Rules]) -> EffectivePolicy:
    """What the policies attached to a token, its service, its organization and the installation come to. Any order will do."""
    ordered = tuple(sorted(layers, key=lambda rules: (_RANK[rules.layer], not rules.inline)))
    sources = {name: Source(DEFAULT_LAYER, "") for name in DEFAULTS}
    return EffectivePolicy(
        layers=ordered,
        max_input_tokens=_narrowest(ordered, "max_input_tokens", sources),
        max_output_tokens=_narrowest(ordered, "max_output_tokens", sources),
        unpriced=_strictest(ordered, "unpriced", sources),
        hold_estimate=_strictest(ordered, "hold_estimate", sources),
        store_failure=_strictest(ordered, "store_failure", sources),
        preferred_provider=_first(ordered, "preferred_provider", "", sources),
        pinned_credential=_first(ordered, "pinned_credential", "", sources),
        fallback_on=_first(ordered, "fallback_on", (), sources),
        hedge_after=_first(ordered, "hedge_after", None, sources),
        untranslatable=_strictest(ordered, "untranslatable", sources),
        hide_served=_first(ordered, "hide_served", None, sources),
        cache=_first(ordered, "cache", None, sources),
        cache_seconds=_first(ordered, "cache_seconds", None, sources),
        limits=_limits(ordered),
        sources=MappingProxyType(sources),
        is_open=not any(rules.restricts for rules in ordered),
        _models=_Lists(ordered, "models", name_patterns),
        _providers=_Lists(ordered, "providers", exact_names),
        _endpoints=_Lists(ordered, "endpoints", exact_names),
        _networks=tuple(rules for rules in ordered if rules.allowed_networks),
        _hours=tuple(rules for rules in ordered if rules.allowed_hours),
    )


def _strictest(layers: Sequence[Rules], name: str, sources: dict[str, Source]) -> str:
    order = SAFEGUARDS[name]
    asked = [
        (order.index(value), place, rules) for place, rules in enumerate(layers) if (value := getattr(rules, name))
    ]
    if not asked:
        return DEFAULTS[name]
    rank, _, rules = min(asked, key=lambda each: each[:2])  # of equal ones the strongest layer's
    sources[name] = Source(rules.layer, rules.name)
    return order[rank]


def _first(layers: Sequence[Rules], name: str, unset: object, sources: dict[str, Source]) -> Any:
    for rules in layers:
        value = getattr(rules, name)
        if value != unset:
            sources[name] = Source(rules.layer, rules.name)
            return value
    return unset


def _narrowest(layers: Sequence[Rules], name: str, sources: dict[str, Source]) -> int | None:
    narrowest: int | None = None
    for rules in layers:
        value = getattr(rules, name)
        if value is not None and (narrowest is None or value < narrowest):
            narrowest = value
            sources[name] = Source(rules.layer, rules.name)
    return narrowest


def _limits(layers: Sequence[Rules]) -> tuple[Limit, ...]:
    """All limits that hold, the narrowest place first."""
    found: list[Limit] = []
    for place in ("token", "service", "organization"):
        for prefix in ("", "end_user_"):
            scope = "end_user" if prefix else place
            for kind, name in _LIMITS:
                limit = _limit([rules for rules in layers if rules.layer == place], scope, kind, prefix + name)
                if place == "organization":
                    of_all = [rules for rules in layers if rules.layer == "installation"]
                    limit = _lower(limit, _limit(of_all, scope, kind, prefix + name))
                if limit is not None:
                    found.append(limit)
    return tuple(found)


def _limit(layers: Iterable[Rules], scope: str, kind: str, name: str) -> Limit | None:
    """The first that is set at one place."""
    for rules in layers:
        value = getattr(rules, name)
        if value is not None:
            return Limit(scope, rules.subject, kind, value, rules.layer, rules.name)
    return None


def _lower(own: Limit | None, of_all: Limit | None) -> Limit | None:
    if own is None or of_all is None:
        return own or of_all
    return of_all if of_all.limit < own.limit else own


@lru_cache(maxsize=4096)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """A list of networks. What cannot be read, as it was written past our own checks, allows nobody."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(networks)
