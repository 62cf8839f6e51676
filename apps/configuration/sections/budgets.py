"""How much may be spent."""

from collections.abc import Hashable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from apps.configuration.document import Node, Problem
from apps.configuration.fields import Field, amount, one_of, switch, text_or_none, whole_or_none, wholes
from apps.configuration.section import Found, Owner, Section, Values, missing
from apps.core.actor import Actor
from apps.policies.actions.budgets import Subject, budget_create, budget_delete, budget_update
from apps.policies.models import Budget, BudgetAction, BudgetScope, Window
from apps.policies.selectors.policies import policy_by_name
from apps.providers.dialects.tags import tag_text
from apps.services.selectors import service_by_name

_SUBJECTS = ("service", "policy", "end_user", "tag")
_ORDER = (*_SUBJECTS, "window", "rolling_days")


class Budgets(Section):
    """Budgets by whose spending they bound and window. Those of one token are neither exported nor touched."""

    name = "budgets"
    noun = "budget"
    identity = _ORDER
    fields = (
        *(Field(name=name, read=text_or_none, default="") for name in _SUBJECTS),
        Field(name="window", read=one_of(Window.values), required=True),
        Field(name="rolling_days", read=whole_or_none),
        Field(name="limit_usd", read=amount, required=True),
        Field(name="action", read=one_of(BudgetAction.values), default=str(BudgetAction.BLOCK)),
        Field(name="alert_at", read=wholes, default=[]),
        Field(name="disabled", read=switch, default=False),
    )

    def key(self, values: Values) -> Hashable:
        """Whose it is, and the window."""
        return (
            values["service"],
            values["policy"].casefold(),
            values["end_user"],
            _kept_tag(values["tag"]),
            values["window"],
            values["rolling_days"],
        )

    def label(self, values: Values) -> str:
        """Whose it is, and the window."""
        subject = next((f" of {name} {values[name]}" for name in _SUBJECTS if values[name]), "")
        days = f" {values['rolling_days']}" if values["rolling_days"] else ""
        return f"budget{subject}: {values['window'].replace('_', ' ')}{days}"

    def contradictions(self, values: Values, node: Node) -> list[Problem]:
        """A budget is of one subject."""
        named = [name for name in _SUBJECTS if values[name]]
        if len(named) > 1:
            return [node.problem(f"a budget is of one of {', '.join(named)}, not of several: make one of each")]
        return []

    def rows(self, owner: Owner) -> list[Found]:
        """The organization's first, then by subject."""
        unnamed = Q(scope=BudgetScope.TOKEN) | Q(policy__isnull=False, policy__name="")  # what the file has no name for
        rows = Budget.objects.filter(organization=owner).exclude(unnamed).select_related("service", "policy")
        found = [self.found(values, row) for row in rows for values in [_values(row)]]
        return sorted(found, key=lambda each: [str(each.values[name] or "") for name in _ORDER])

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Bound it."""
        assert owner is not None  # noqa: S101 - the installation has no such section
        budget_create(
            organization=owner,
            subject=_subject(owner, values),
            window=values["window"],
            rolling_days=values["rolling_days"],
            limit_usd=values["limit_usd"],
            action=values["action"],
            alert_at=values["alert_at"],
            enabled=not values["disabled"],
            actor=actor,
        )
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Change the bound."""
        del owner
        budget_update(
            budget=found.row,
            limit_usd=values["limit_usd"],
            action=values["action"],
            alert_at=values["alert_at"],
            enabled=not values["disabled"],
            actor=actor,
        )
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Bound it no more."""
        del owner
        budget_delete(budget=found.row, actor=actor)
        return True


def _values(row: Budget) -> dict[str, Any]:
    return {
        "service": "" if row.service is None else row.service.name,
        "policy": "" if row.policy is None else row.policy.name,
        "end_user": row.end_user,
        "tag": row.tag,
        "window": row.window,
        "rolling_days": row.rolling_days,
        "limit_usd": row.limit_usd,
        "action": row.action,
        "alert_at": row.alert_at,
        "disabled": not row.enabled,
    }


def _subject(owner: Any, values: Values) -> Subject:
    """Whose spending it is. Raises ValidationError for a service or policy that there is not."""
    if name := values["service"]:
        service = service_by_name(owner, name)
        if service is None:
            raise ValidationError({"service": missing("service", name, owner)})
        return Subject(BudgetScope.SERVICE, service=service)
    if name := values["policy"]:
        policy = policy_by_name(owner, name)
        if policy is None:
            raise ValidationError({"policy": missing("policy", name, owner)})
        return Subject(BudgetScope.POLICY, policy=policy)
    if values["end_user"]:
        return Subject(BudgetScope.END_USER, end_user=values["end_user"])
    return Subject(BudgetScope.TAG, tag=values["tag"]) if values["tag"] else Subject(BudgetScope.ORGANIZATION)


def _kept_tag(tag: str) -> str:
    """A tag as it is kept, if it is one."""
    key, _equals, value = tag.partition("=")
    return tag_text(key, value) or tag
