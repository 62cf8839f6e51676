from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.policies.actions.budgets import budget_delete, budget_disable, budget_of, budget_set
from apps.policies.budget_arguments import add_subject_arguments, named_subject, percentages, window
from apps.policies.models import Budget, BudgetAction
from apps.policies.usd import parse_usd


class Command(OperatorCommand):
    """Create, change, disable or delete a budget."""

    help = (
        "Bound what an organization, service, token, end user or tag may spend in a window of time, in the organization's "
        "time zone. There is one budget for each of them and window: it is created, or changed if there is one. What was "
        "spent in the window before counts as well."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        add_subject_arguments(parser, policy=True)
        parser.add_argument(
            "--window",
            required=True,
            type=window,
            metavar="WINDOW",
            help="day, week (from Monday), month, total, or rolling:N (today and the N-1 days before it)",
        )
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--usd", metavar="AMOUNT", help="the limit in US dollars, such as 25 or 0.50")
        what.add_argument("--disable", action="store_true", help="neither block nor alert, until --usd sets it again")
        what.add_argument("--delete", action="store_true", help="forget it, and its alerts")
        parser.add_argument(
            "--action",
            choices=BudgetAction.values,
            help="block refuses calls that it has no room for (the default of a new budget); alert lets them pass",
        )
        parser.add_argument(
            "--alert-at",
            type=percentages,
            metavar="50,80,100",
            help="tell owners, admins and webhooks at these percentages",
        )

    def handle(
        self,
        *,
        org: str,
        service: str | None,
        token: str | None,
        end_user: str | None,
        tag: str | None,
        policy: str | None,
        window: tuple[str, int | None],
        usd: str | None,
        disable: bool,
        delete: bool,
        action: str | None,
        alert_at: list[int] | None,
        **_options: Any,
    ) -> None:
        """Refuses what no budget can be, naming the field."""
        organization = named_organization(org)
        subject = named_subject(organization, service=service, token=token, end_user=end_user, tag=tag, policy=policy)
        if delete or disable or usd is None:
            if action is not None or alert_at is not None:
                raise CommandError("--action and --alert-at go with --usd.", returncode=2)
            self._end(budget_of(organization, subject, *window), delete=delete)
            return
        options: dict[str, Any] = {}
        if action is not None:
            options["action"] = action
        if alert_at is not None:
            options["alert_at"] = alert_at
        budget, created = budget_set(
            organization=organization,
            subject=subject,
            window=window[0],
            rolling_days=window[1],
            limit_usd=parse_usd(usd, "limit_usd"),
            actor=self.actor,
            **options,
        )
        self.stdout.write(f"{'Created' if created else 'Set'} budget {budget}.")
        if budget.limit_usd == 0:
            blocks = budget.action == BudgetAction.BLOCK
            self.say(
                "Its limit is 0: every call is refused." if blocks else "Its limit is 0: whatever is spent is over it."
            )

    def _end(self, budget: Budget | None, *, delete: bool) -> None:
        if budget is None:
            raise CommandError("There is no such budget: `manage.py budgets` lists them.")
        if delete:
            shown = str(budget)
            budget_delete(budget=budget, actor=self.actor)
            self.stdout.write(f"Deleted budget {shown}.")
        elif budget_disable(budget=budget, actor=self.actor):
            self.stdout.write(f"Disabled budget {budget}.")
        else:
            self.stdout.write(f"Nothing to do: budget {budget} was disabled already.")
