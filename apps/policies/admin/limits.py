"""What limits a token, a service, an organization, or the installation: every value with where it comes from, and gauges."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.console import ConsoleAdmin, request_actor
from apps.core.endpoints import SCOPES
from apps.orgs.models import Organization
from apps.policies.actions.policies import Place, inline_set, policy_attach, policy_detach
from apps.policies.admin.gauges import budget_rows, limit_gauge
from apps.policies.admin.words import field_label, layer_words, rule_lines, value_words
from apps.policies.counters.reading import limit_states
from apps.policies.effective import (
    DEFAULT_LAYER,
    LAYERS,
    RESTRICTIONS,
    EffectivePolicy,
    Rules,
    effective_policy,
    rules_from_row,
)
from apps.policies.explanation import Asked
from apps.policies.forms import RULE_NAMES, RulesForm, choose_policy_form
from apps.policies.models import Attachment, Budget, BudgetScope, Layer, Policy
from apps.policies.selectors.budgets import BudgetState, budget_states, budgets_of
from apps.policies.selectors.explain import explain_call
from apps.policies.selectors.policies import (
    inline_policy,
    layers_for_organization,
    layers_for_service,
    layers_for_token,
)
from apps.policies.shown import limit_kind
from apps.services.models import Service, Token

# Values that one layer decides, in the order shown; lists and limits of all layers hold and are shown one by one.
_SINGLE = (
    "max_input_tokens",
    "max_output_tokens",
    "unpriced",
    "hold_estimate",
    "store_failure",
    "preferred_provider",
    "pinned_credential",
    "fallback_on",
    "hedge_after",
    "untranslatable",
    "hide_served",
    "cache",
    "cache_seconds",
)
_OPTION = re.compile(r" \(--[a-z-]+\)")
# What a step of an explanation asks about, by its code.
_QUESTIONS = {
    "token": gettext_lazy("token"),
    "network": gettext_lazy("network"),
    "hours": gettext_lazy("hours"),
    "endpoint": gettext_lazy("endpoint"),
    "scopes": gettext_lazy("scopes"),
    "known": gettext_lazy("known model"),
    "model": gettext_lazy("model"),
    "route": gettext_lazy("route"),
    "input": gettext_lazy("input"),
    "output": gettext_lazy("output"),
    "price": gettext_lazy("price"),
    "counters": gettext_lazy("counters"),
    "limits": gettext_lazy("limits"),
    "end user": gettext_lazy("end user"),
    "budgets": gettext_lazy("budgets"),
}
_WHERE = "-"  # the installation's key in addresses
_BUDGETS_SHOWN = 50
_SCOPES = {
    "token": gettext_lazy("the token"),
    "service": gettext_lazy("the service's tokens together"),
    "organization": gettext_lazy("the organization's tokens together"),
    "end_user": gettext_lazy("each end user"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """The place that a page is about, with the wider ones that it lies in."""

    place: Place
    name: str

    @property
    def row(self) -> Any:
        """The token, service or organization; None: the installation."""
        return self.place.token or self.place.service or self.place.organization

    @property
    def link(self) -> str:
        """The page of its row; empty for the installation."""
        if self.row is None:
            return ""
        meta = self.row._meta
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=(self.row.pk,))

    def within(self) -> list["Target"]:
        """This place and the wider ones, the narrowest first."""
        token, service, organization = self.place.token, self.place.service, self.place.organization
        if token is not None:
            service = token.service
        found = [Place(organization, None, token)] if token is not None else []
        found += [Place(organization, service)] if service is not None else []
        found += [Place(organization)] if organization is not None else []
        return [_target(place) for place in (*found, Place())]

    def layers(self) -> list[Rules]:
        """The policies that hold for it, strongest first."""
        if self.place.token is not None:
            return layers_for_token(self.place.token)
        if self.place.service is not None:
            return layers_for_service(self.place.service)
        if self.place.organization is not None:
            return layers_for_organization(self.place.organization)
        rows = Attachment.objects.filter(layer=Layer.INSTALLATION).select_related("policy")
        return [_rules(row.policy, Layer.INSTALLATION, row.inline, UUID(int=0)) for row in rows]

    def columns(self) -> dict[str, Any]:
        """What names it to actions."""
        names = {"token": self.place.token, "service": self.place.service, "organization": self.place.organization}
        return {self.place.layer: names[self.place.layer]} if self.row is not None else {}


def limits_url(layer: str, row: models.Model | None, page: str = "limits") -> str:
    """The page of a place, or one of its forms: rules, attach, detach."""
    return reverse(f"admin:policies_policy_{page}_here", args=(layer, _WHERE if row is None else row.pk))


class LimitsPages(ConsoleAdmin):
    """The pages about places, under the policies' address."""

    def get_urls(self) -> list[URLPattern]:
        """Those of the rows, and of places."""
        pages: dict[str, Callable[..., HttpResponse]] = {
            "limits": self.limits_page,
            "rules": self.rules_page,
            "attach": self.attach_page,
            "detach": self.detach_page,
        }
        return [
            path(
                f"places/<str:layer>/<str:key>/{name}/",
                self.admin_site.admin_view(view),
                name=f"policies_policy_{name}_here",
            )
            for name, view in pages.items()
        ] + super().get_urls()

    def limits_page(self, request: HttpRequest, layer: str, key: str) -> HttpResponse:
        """Every value that holds here, and where it comes from; what is used of limits and budgets."""
        target = self._target(request, layer, key)
        layers = target.layers()
        as_if = _as_if(request, target)
        if as_if is not None:
            here = [rules for rules in layers if rules.layer != layer or rules.inline]
            layers = [*here, _rules(as_if, layer, inline=False, subject=target.row.pk)]
        policy = effective_policy(layers)
        states, more = _budgets(target)
        asked = {name: request.GET.get(name, "").strip()[:255] for name in ("model", "endpoint", "address", "end_user")}
        return self.page(
            request,
            "console/limits.html",
            title=_("What limits %(name)s") % {"name": target.name},
            row=target.row,
            target=target,
            as_if=as_if,
            places=_places(target, layers, lambda layer: self._may_change(request, layer)),
            values=_values(policy),
            lists=_lists(policy),
            limits=_limits(policy),
            budgets=budget_rows(states),
            budgets_more=more,
            calls=_calls(target),
            budgets_url=_budgets_url(target),
            asked=asked,
            explained=_explained(target, asked) if as_if is None else None,
            answers=_answers(policy, target, asked) if as_if is not None or target.place.token is None else [],
            scopes=SCOPES,
        )

    def rules_page(self, request: HttpRequest, layer: str, key: str) -> HttpResponse:
        """The own rules of this place."""
        target = self._target(request, layer, key, change=True)
        place = target.place
        known = inline_policy(place.layer, organization=place.organization, service=place.service, token=place.token)
        initial = {name: getattr(known, name) for name in RULE_NAMES} if known is not None else {}

        def perform(values: dict[str, Any]) -> str:
            fields = {name: values[name] for name in RULE_NAMES}
            left = inline_set(layer=layer, fields=fields, actor=request_actor(request), **target.columns())
            if left is None:
                return _("%(name)s has no rules of its own.") % {"name": target.name}
            return _("The rules of %(name)s are saved.") % {"name": target.name}

        return self.ask(
            request,
            target.row,
            title=_("Rules of %(name)s alone") % {"name": target.name},
            sentence=_(
                "They come before the policy that is attached here, and hold for nothing else. Empty is not set: another "
                "layer decides; 0 is zero: nothing passes. With every field empty there are none."
            ),
            button=_("Save"),
            form_class=RulesForm,
            initial=initial,
            perform=perform,
            back=limits_url(layer, target.row),
            template="console/rules.html",
        )

    def attach_page(self, request: HttpRequest, layer: str, key: str) -> HttpResponse:
        """Choose a policy, then attach it here."""
        target = self._target(request, layer, key, change=True)

        def perform(values: dict[str, Any]) -> str:
            policy = values["policy"]
            former = policy_attach(policy=policy, layer=layer, actor=request_actor(request), **target.columns())
            if former is not None:
                return _("%(policy)s holds for %(name)s now, instead of %(former)s.") % {
                    "policy": policy,
                    "name": target.name,
                    "former": former,
                }
            return _("%(policy)s holds for %(name)s now.") % {"policy": policy, "name": target.name}

        return self.ask(
            request,
            target.row,
            title=_("Attach a policy to %(name)s") % {"name": target.name},
            sentence=_("It holds from the next second on. One that is attached here already gives way to it."),
            button=_("Attach"),
            form_class=choose_policy_form(target.place.organization),
            perform=perform,
            back=limits_url(layer, target.row),
        )

    def detach_page(self, request: HttpRequest, layer: str, key: str) -> HttpResponse:
        """Ask, then detach the policy that is attached here."""
        target = self._target(request, layer, key, change=True)
        attached = _attached(target)
        if attached is None:
            messages.info(request, _("No policy is attached to %(name)s.") % {"name": target.name})
            return HttpResponseRedirect(limits_url(layer, target.row))
        policy = attached

        def perform(_values: dict[str, Any]) -> str:
            policy_detach(policy=policy, layer=layer, actor=request_actor(request), **target.columns())
            return _("%(policy)s no longer holds for %(name)s.") % {"policy": policy, "name": target.name}

        return self.ask(
            request,
            target.row,
            title=_("Detach %(policy)s from %(name)s") % {"policy": policy, "name": target.name},
            sentence=_(
                "What it restricts here is allowed from the next second on, unless another layer restricts it too."
            ),
            button=_("Detach"),
            danger=True,
            perform=perform,
            back=limits_url(layer, target.row),
        )

    def _may_change(self, request: HttpRequest, layer: str) -> bool:
        """What holds for every organization is platform staff's."""
        return self.has_staff_permission(request) if layer == Layer.INSTALLATION else self.has_act_permission(request)

    def _target(self, request: HttpRequest, layer: str, key: str, *, change: bool = False) -> Target:
        """The place of an address. Raises Http404; PermissionDenied to who may not see policies, or change them."""
        if not (self._may_change(request, layer) if change else self.has_view_permission(request)):
            raise PermissionDenied
        if layer == Layer.INSTALLATION and key == _WHERE:
            return _target(Place())
        try:
            pk = UUID(key)
        except ValueError:
            raise Http404 from None
        if layer == Layer.ORGANIZATION:
            organization = Organization.objects.filter(pk=pk).first()
            return _target(Place(_found(organization)))
        if layer == Layer.SERVICE:
            service = _found(Service.objects.filter(pk=pk).select_related("organization").first())
            return _target(Place(service.organization, service))
        if layer == Layer.TOKEN:
            token = _found(Token.objects.filter(pk=pk).select_related("organization", "service__organization").first())
            return _target(Place(token.organization, None, token))
        raise Http404


def _found[R](row: R | None) -> R:
    if row is None:
        raise Http404
    return row


def _target(place: Place) -> Target:
    return Target(place, str(place))


def _as_if(request: HttpRequest, target: Target) -> Policy | None:
    """The policy that a preview is about; only for tokens, and only their organization's."""
    text = request.GET.get("as_if", "")
    if not text or target.place.token is None:
        return None
    try:
        key = UUID(text)
    except ValueError:
        return None
    return Policy.objects.filter(pk=key, organization=target.place.organization).first()


def _rules(policy: Policy, layer: str, inline: bool, subject: UUID) -> Rules:
    values = {field.attname: getattr(policy, field.attname) for field in Policy._meta.concrete_fields}
    return rules_from_row({**values, "layer": layer, "inline": inline, "subject": subject})


def _attached(target: Target) -> Policy | None:
    place = target.place
    row = (
        Attachment.objects.filter(
            layer=place.layer, organization=place.organization, service=place.service, token=place.token, inline=False
        )
        .select_related("policy")
        .first()
    )
    return None if row is None else row.policy


# --- What the page shows ---


def _places(target: Target, layers: Sequence[Rules], may_change: Callable[[str], bool]) -> list[dict[str, Any]]:
    """Each layer, the strongest first: its own rules and its policy, with ways to change them for who may."""
    found = []
    for each in target.within():
        layer = each.place.layer
        own = next((rules for rules in layers if rules.layer == layer and rules.inline), None)
        policy = next((rules for rules in layers if rules.layer == layer and not rules.inline), None)
        found.append(
            {
                "name": each.name,
                "here": each.place.layer == target.place.layer,
                "limits": limits_url(layer, each.row),
                "can_change": may_change(layer),
                "rules": limits_url(layer, each.row, "rules"),
                "attach": limits_url(layer, each.row, "attach"),
                "detach": limits_url(layer, each.row, "detach"),
                "own": None if own is None else rule_lines(own),
                "policy": policy,
                "policy_lines": None if policy is None else rule_lines(policy),
            }
        )
    return found


def _source(layer: str, policy: str) -> str:
    if layer == DEFAULT_LAYER:
        return _("default")
    if policy:
        return _("%(layer)s: policy %(policy)s") % {"layer": layer_words(layer), "policy": policy}
    return _("%(layer)s: its own rules") % {"layer": layer_words(layer)}


def _values(policy: EffectivePolicy) -> list[dict[str, Any]]:
    rows = []
    for name in _SINGLE:
        value = getattr(policy, name)
        if name not in policy.sources:
            rows.append({"label": field_label(name), "value": "", "source": ""})
        else:
            source = policy.sources[name]
            rows.append(
                {
                    "label": field_label(name),
                    "value": value_words(name, value),
                    "source": _source(source.layer, source.policy),
                }
            )
    return rows


def _lists(policy: EffectivePolicy) -> list[dict[str, Any]]:
    """Every list of every layer: all of them hold."""
    return [
        {
            "label": field_label(name),
            "entries": getattr(rules, name),
            "source": _source(rules.layer, rules.name),
        }
        for name in RESTRICTIONS
        for rules in sorted(policy.layers, key=lambda rules: LAYERS.index(rules.layer))
        if getattr(rules, name)
    ]


def _limits(policy: EffectivePolicy) -> list[dict[str, Any]]:
    states = limit_states(policy.limits)
    rows = []
    for position, limit in enumerate(policy.limits):
        state = None if states is None else states[position]
        of_each = limit.scope == "end_user"
        rows.append(
            {
                "kind": limit_kind(limit.kind),
                "scope": _SCOPES[limit.scope],
                "limit": limit.limit,
                "source": _source(limit.layer, limit.policy_name),
                "gauge": None if state is None or of_each else limit_gauge(state),
                "state": None if of_each else state,
                "of_each": of_each,
            }
        )
    return rows


def _budgets(target: Target) -> tuple[list[BudgetState], int]:
    """The budgets that every call of the place counts for, those with the least left first; and how many are not shown."""
    place = target.place
    if place.organization is None:
        return [], 0
    scopes = Q(scope=BudgetScope.ORGANIZATION)
    places = Q(layer=Layer.ORGANIZATION)
    holders = {place.organization.pk.hex}
    service = place.service or (place.token.service if place.token is not None else None)
    if service is not None:
        scopes |= Q(scope=BudgetScope.SERVICE, service=service)
        places |= Q(service=service)
        holders.add(service.pk.hex)
    if place.token is not None:
        scopes |= Q(scope=BudgetScope.TOKEN, token=place.token)
        places |= Q(token=place.token)
        holders.add(place.token.pk.hex)
    attached = Attachment.objects.filter(places, organization=place.organization, inline=False).values("policy")
    scopes |= Q(scope=BudgetScope.POLICY, policy__in=attached)
    budgets = budgets_of(place.organization).filter(scopes, enabled=True)
    states = [state for state in budget_states(budgets) if not state.subject or state.subject in holders]
    states.sort(key=lambda state: state.percent, reverse=True)
    return states[:_BUDGETS_SHOWN], max(len(states) - _BUDGETS_SHOWN, 0)


def _calls(target: Target) -> dict[str, int]:
    """How many more budgets count for calls that name an end user or a tag."""
    if target.place.organization is None:
        return {}
    rows = Budget.objects.filter(organization=target.place.organization, enabled=True)
    found = rows.filter(scope__in=(BudgetScope.END_USER, BudgetScope.TAG)).values_list("scope")
    return dict(found.annotate(count=Count("pk")))


def _budgets_url(target: Target) -> str:
    base = reverse("admin:policies_budget_changelist")
    organization = target.place.organization
    return base if organization is None else f"{base}?organization__id__exact={organization.pk}"


def _explained(target: Target, asked: dict[str, str]) -> dict[str, Any] | None:
    """What would become of a call of a token; None if nothing is asked, or it is no token's page."""
    if target.place.token is None or not any(asked.values()):
        return None
    call = Asked(
        endpoint=asked["endpoint"] or SCOPES[0],
        at=now(),
        model=asked["model"],
        address=asked["address"],
        end_user=asked["end_user"],
    )
    found = explain_call(target.place.token, call)
    labels = {"passes": ("success", _("passes")), "refuses": ("danger", _("refuses")), "open": ("default", _("open"))}
    return {
        "verdict": found.verdict,
        "is_refused": found.refusal is not None,
        # Its words are the command's as well, which name an option where something was not said.
        "steps": [
            {
                "step": step,
                "question": _QUESTIONS[step.question],
                "says": _OPTION.sub("", step.says),
                "label": labels[step.outcome],
            }
            for step in found.steps
        ],
        "routes": found.routes,
        "notes": found.notes,
    }


def _answers(policy: EffectivePolicy, target: Target, asked: dict[str, str]) -> list[dict[str, Any]]:
    """What the lists say to one call; nothing if nothing is asked."""
    if not any(asked.values()):
        return []
    found = []
    if asked["endpoint"]:
        found.append((asked["endpoint"], policy.endpoint_denied(asked["endpoint"])))
        token = target.place.token
        if token is not None and token.scopes and asked["endpoint"] not in token.scopes:
            sentence = _("refused: the token's scopes are %(scopes)s") % {"scopes": ", ".join(token.scopes)}
            return [{"asked": asked["endpoint"], "sentence": sentence, "denied": True}]
    if asked["model"]:
        found.append((asked["model"], policy.model_denied(asked["model"])))
    if asked["address"]:
        found.append((asked["address"], policy.network_denied(asked["address"])))
    if target.place.organization is not None:
        found.append((_("now"), policy.hours_denied(now(), ZoneInfo(target.place.organization.timezone))))
    return [
        {
            "asked": what,
            "denied": denial is not None,
            "sentence": _("allowed")
            if denial is None
            else _("refused by %(source)s, %(rule)s: %(values)s")
            % {
                "source": _source(denial.layer, denial.policy),
                "rule": field_label(denial.rule),
                "values": ", ".join(denial.values[:5]),
            },
        }
        for what, denial in found
    ]
