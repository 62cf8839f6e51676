"""What the arguments of the budgets' commands name."""

import argparse
import re
from argparse import ArgumentParser

from django.core.management.base import CommandError

from apps.orgs.models import Organization
from apps.policies.actions.budgets import Subject
from apps.policies.arguments import named_token
from apps.policies.models import BudgetScope, Window
from apps.policies.selectors.policies import policy_by_name
from apps.services.selectors import service_by_name

_FIXED = [choice for choice in Window.values if choice != Window.ROLLING]


def window(word: str) -> tuple[str, int | None]:
    """day, week, month, total or rolling:7: an argument's type."""
    if word in _FIXED:
        return word, None
    rolling = re.fullmatch(r"rolling:(\d{1,3})", word, re.ASCII)
    if rolling is None:
        raise argparse.ArgumentTypeError(f"{word!r} is no window: write {', '.join(_FIXED)} or rolling:N (days)")
    return Window.ROLLING, int(rolling[1])


def percentages(word: str) -> list[int]:
    """50,80,100: an argument's type; an empty one is none."""
    parts = [part.strip().removesuffix("%").strip() for part in word.split(",")] if word.strip() else []
    if not all(re.fullmatch(r"\d{1,4}", part, re.ASCII) for part in parts):
        raise argparse.ArgumentTypeError(f"{word!r} is no list of whole percentages: write 50,80,100")
    return [int(part) for part in parts]


def add_subject_arguments(parser: ArgumentParser, *, policy: bool) -> None:
    """Whose spending it is about: at most one of these; none of them: the organization's."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--service", metavar="NAME", help="of this service")
    group.add_argument("--token", metavar="ID", help="of this token")
    group.add_argument("--end-user", metavar="ID", help="of this end user, or of each one alone: *")
    group.add_argument("--tag", metavar="K=V", help="of requests with this tag")
    if policy:
        group.add_argument("--policy", metavar="NAME", help="of each place alone that this policy is attached to")


def named_subject(
    organization: Organization,
    *,
    service: str | None,
    token: str | None,
    end_user: str | None,
    tag: str | None,
    policy: str | None = None,
) -> Subject:
    """What the arguments name. Raises CommandError for what the organization does not have."""
    if service is not None:
        found = service_by_name(organization, service)
        if found is None:
            raise CommandError(f"{organization} has no service {service!r}.")
        return Subject(BudgetScope.SERVICE, service=found)
    if token is not None:
        return Subject(BudgetScope.TOKEN, token=named_token(token, organization))
    if policy is not None:
        named = policy_by_name(organization, policy)
        if named is None:
            raise CommandError(f"{organization} has no policy {policy!r}.")
        return Subject(BudgetScope.POLICY, policy=named)
    if end_user is not None:
        return Subject(BudgetScope.END_USER, end_user=end_user)
    if tag is not None:
        return Subject(BudgetScope.TAG, tag=tag)
    return Subject(BudgetScope.ORGANIZATION)
