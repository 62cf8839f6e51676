"""Every write to budgets: the rule, the transaction, the admin event."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.audit.record import clean_text
from apps.core.actor import Actor
from apps.core.numbers import separated
from apps.core.rows import save_valid
from apps.orgs.models import Organization
from apps.policies.models import MOST_USD, Budget, BudgetAction, BudgetScope, Policy, Window
from apps.policies.usd import usd_text
from apps.providers.dialects.tags import tag_text
from apps.services.models import Service, Token

ROLLING_DAYS = range(2, 367)
ALERT_LEVELS = range(1, 1001)  # percent
DECIMALS = 9  # the store counts in nano-USD
_LONGEST = 255
_CHANGES = frozenset({"limit_usd", "action", "alert_at", "enabled", "window", "rolling_days"})
_SUBJECTS = ("service", "token", "policy", "end_user", "tag")


class Subject(NamedTuple):
    """Whose spending a budget bounds: what its scope names, and nothing else. An organization needs no name."""

    scope: str
    service: Service | None = None
    token: Token | None = None
    policy: Policy | None = None
    end_user: str = ""
    tag: str = ""


@transaction.atomic
def budget_create(
    *,
    organization: Organization,
    subject: Subject,
    window: str,
    limit_usd: Decimal,
    actor: Actor,
    rolling_days: int | None = None,
    action: str = BudgetAction.BLOCK,
    alert_at: Iterable[int] = (),
    enabled: bool = True,
) -> Budget:
    """Bound what may be spent from now on; what was spent in the window already counts. Raises ValidationError.

    `alert_at`: whole percentages of the limit. A limit of 0 is one: nothing may be spent.
    """
    budget = Budget(
        organization=organization,
        **_checked_subject(organization, subject)._asdict(),
        window=window,
        rolling_days=rolling_days,
        limit_usd=limit_usd,
        action=action,
        alert_at=list(alert_at),
        enabled=enabled,
    )
    _save(budget)
    event_record(
        "budget.created", actor=actor, target=budget, organization_id=budget.organization_id, after=facts(budget)
    )
    return budget


@transaction.atomic
def budget_update(*, budget: Budget, actor: Actor, **changes: Any) -> Budget:
    """Change `limit_usd`, `action`, `alert_at`, `enabled`, `window` or `rolling_days`. Gateways follow within a second.

    Whose budget it is stays: that would be another budget. Raises ValidationError; TypeError for anything else.
    """
    if unknown := changes.keys() - _CHANGES:
        raise TypeError(f"cannot change {sorted(unknown)}")
    locked = Budget.objects.select_for_update().get(pk=budget.pk)
    before = facts(locked)
    if "alert_at" in changes:
        changes["alert_at"] = list(changes["alert_at"])
    for field, value in changes.items():
        setattr(locked, field, value)
    _save(locked)
    event_of_change("budget.updated", actor=actor, target=locked, organization_id=locked.organization_id, before=before)
    return locked


@transaction.atomic
def budget_set(
    *,
    organization: Organization,
    subject: Subject,
    window: str,
    limit_usd: Decimal,
    actor: Actor,
    rolling_days: int | None = None,
    **options: Any,
) -> tuple[Budget, bool]:
    """The subject's budget of this window, created or changed; and whether it was created. Raises ValidationError.

    `options`: `action` and `alert_at`; those left out stay as they are. A disabled budget is enabled by it.
    """
    found = budget_of(organization, subject, window, rolling_days)
    if found is not None:
        return budget_update(budget=found, limit_usd=limit_usd, enabled=True, actor=actor, **options), False
    created = budget_create(
        organization=organization,
        subject=subject,
        window=window,
        rolling_days=rolling_days,
        limit_usd=limit_usd,
        actor=actor,
        **options,
    )
    return created, True


@transaction.atomic
def budget_delete(*, budget: Budget, actor: Actor) -> None:
    """Bound nothing by it any more. Its alerts go with it; the admin events stay."""
    locked = Budget.objects.select_for_update().get(pk=budget.pk)
    event_record(
        "budget.deleted", actor=actor, target=locked, organization_id=locked.organization_id, before=facts(locked)
    )
    locked.delete()


@transaction.atomic
def budget_enable(*, budget: Budget, actor: Actor) -> bool:
    """Let it count again, with what was spent meanwhile. False if it is enabled already."""
    return _switch(budget, enabled=True, actor=actor)


@transaction.atomic
def budget_disable(*, budget: Budget, actor: Actor) -> bool:
    """Neither block nor alert from now on. False if it is disabled already."""
    return _switch(budget, enabled=False, actor=actor)


def budget_of(organization: Organization, subject: Subject, window: str, rolling_days: int | None) -> Budget | None:
    """The subject's budget of this window. Raises ValidationError where the subject could have none."""
    named = _checked_subject(organization, subject)
    return Budget.objects.filter(
        organization=organization, **named._asdict(), window=window, rolling_days=rolling_days
    ).first()


def checked_tag(tag: str) -> str:
    """`key=value` as it is kept: the key in lower case. Raises ValidationError under `tag`."""
    key, _equals, value = tag.partition("=")
    kept = tag_text(key, value)  # as the gateway reads a request's
    if not kept:
        raise ValidationError(
            {
                "tag": _(
                    "%(tag)s is not a tag: write key=value, with a key of up to 64 letters, digits and _.- and a value "
                    "of 1 to 128 characters."
                )
                % {"tag": ascii(tag)[:80]}
            }
        )
    return kept


def checked_end_user(end_user: str) -> str:
    """An end user's name as requests bear it. Raises ValidationError under `end_user`."""
    if len(end_user) > _LONGEST:
        raise ValidationError(
            {"end_user": _("An end user's name has at most %(most)d characters.") % {"most": _LONGEST}}
        )
    if clean_text(end_user, _LONGEST) != end_user:  # which is how a request's is read
        raise ValidationError(
            {"end_user": _("An end user's name has no control or direction characters: write it without them.")}
        )
    return end_user


def _checked_subject(organization: Organization, subject: Subject) -> Subject:
    """The subject as it is kept. Raises ValidationError for what its scope does not go with, and for others' rows."""
    if subject.scope not in BudgetScope.values:
        raise ValidationError(
            {
                "scope": _("%(scope)s is no scope: choose among %(scopes)s.")
                % {"scope": subject.scope, "scopes": ", ".join(BudgetScope.values)}
            }
        )
    for field in _SUBJECTS:
        given = getattr(subject, field)
        if field == subject.scope and not given:
            raise ValidationError({field: _("A budget of this scope needs to know which one: name it.")})
        if field != subject.scope and given:
            raise ValidationError(
                {
                    field: _("A budget of scope %(scope)s takes none: leave it out, or choose another scope.")
                    % {"scope": subject.scope}
                }
            )
    for field in ("service", "token", "policy"):
        row = getattr(subject, field)
        if row is not None and row.organization_id != organization.pk:
            raise ValidationError(
                {
                    field: _("%(row)s does not belong to %(organization)s: choose one that does.")
                    % {"row": row, "organization": organization}
                }
            )
    if subject.scope == BudgetScope.TAG:
        return subject._replace(tag=checked_tag(subject.tag))
    checked_end_user(subject.end_user)
    return subject


def _save(budget: Budget) -> None:
    """Validate all but the subject, and save. Raises ValidationError."""
    if budget.window not in Window.values:
        raise ValidationError(
            {
                "window": _("%(window)s is no window: choose among %(windows)s.")
                % {"window": budget.window, "windows": ", ".join(Window.values)}
            }
        )
    rolls = budget.window == Window.ROLLING
    if rolls and (not isinstance(budget.rolling_days, int) or budget.rolling_days not in ROLLING_DAYS):
        raise ValidationError(
            {
                "rolling_days": _("A rolling window has from %(least)d to %(most)d days, today included.")
                % {"least": ROLLING_DAYS[0], "most": ROLLING_DAYS[-1]}
            }
        )
    if not rolls and budget.rolling_days is not None:
        raise ValidationError({"rolling_days": _("Only a rolling window takes days: leave this empty.")})
    if budget.action not in BudgetAction.values:
        raise ValidationError(
            {
                "action": _("%(action)s is no action: choose among %(actions)s.")
                % {"action": budget.action, "actions": ", ".join(BudgetAction.values)}
            }
        )
    _check_limit(budget.limit_usd)
    budget.alert_at = _checked_levels(budget.alert_at)
    _check_once(budget)
    save_valid(budget)


def _check_limit(limit: Decimal) -> None:
    if not isinstance(limit, Decimal):
        raise TypeError("an amount of money is a Decimal")
    if not limit.is_finite():
        raise ValidationError({"limit_usd": _("The limit is not a number: write dollars, such as 25 or 0.50.")})
    if limit < 0:
        raise ValidationError({"limit_usd": _("The limit is below 0: 0 lets nothing pass, and is the least.")})
    if limit > MOST_USD:
        raise ValidationError(
            {
                "limit_usd": _("The limit is above %(most)s USD, up to which counters are exact.")
                % {"most": separated(f"{MOST_USD:,}")}
            }
        )
    exponent = limit.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS:
        raise ValidationError(
            {"limit_usd": _("The limit has more than %(most)d decimals: round it.") % {"most": DECIMALS}}
        )


def _checked_levels(levels: Iterable[int]) -> list[int]:
    """Sorted, each once. Raises ValidationError."""
    given = list(levels)
    for level in given:
        if isinstance(level, bool) or not isinstance(level, int) or level not in ALERT_LEVELS:
            raise ValidationError(
                {
                    "alert_at": _("%(level)s: alerts are given at whole percentages from %(least)d to %(most)d.")
                    % {"level": level, "least": ALERT_LEVELS[0], "most": ALERT_LEVELS[-1]}
                }
            )
    if len(set(given)) < len(given):
        raise ValidationError({"alert_at": _("A percentage is there twice: name each once.")})
    return sorted(given)


def _check_once(budget: Budget) -> None:
    """Raises ValidationError that says which one there is. A race is left to the constraint."""
    same = {field: getattr(budget, field) for field in ("organization", "scope", *_SUBJECTS, "window", "rolling_days")}
    other = Budget.objects.filter(**same).exclude(pk=budget.pk).first()
    if other is not None:
        raise ValidationError(
            {
                "window": _(
                    "There is a budget of this scope and window already, of %(limit)s USD: change that one (%(id)s)."
                )
                % {"limit": usd_text(other.limit_usd), "id": other.pk}
            }
        )


def _switch(budget: Budget, *, enabled: bool, actor: Actor) -> bool:
    locked = Budget.objects.select_for_update().get(pk=budget.pk)
    if locked.enabled == enabled:
        return False
    before = facts(locked)
    locked.enabled = enabled
    # Not through save_valid: a budget that breaks a newer rule must still be switchable.
    locked.save(update_fields=["enabled", "updated_at"])
    event_of_change(
        "budget.enabled" if enabled else "budget.disabled",
        actor=actor,
        target=locked,
        organization_id=locked.organization_id,
        before=before,
    )
    return True
