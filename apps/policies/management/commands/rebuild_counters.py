from argparse import ArgumentParser
from typing import Any

import redis
from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.orgs.models import Organization
from apps.policies.budget_tables import table
from apps.policies.counters.control import forget_budgets, known_counters, ledger_now, rebuild_now
from apps.policies.counters.reading import budget_counters
from apps.policies.counters.rebuild import RebuildFailed
from apps.policies.models import Budget
from apps.policies.usd import nano_text


class Command(OperatorCommand):
    """Build budgets' counters anew from the ledger."""

    help = (
        "Build the counters of budgets anew from the ledger, while calls go on: they wait for a moment. Those that every end "
        "user has of a budget of * are built by their next call. With --check only compare, and change nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", metavar="SLUG", help="of this organization; all if left out")
        parser.add_argument(
            "--check", action="store_true", help="compare counters and ledger; exit code 1 if they differ"
        )

    def handle(self, *, org: str | None, check: bool, **_options: Any) -> None:
        """Says which organization could not be built, and why."""
        chosen = Organization.objects.order_by("slug")
        organizations = list(chosen) if org is None else [named_organization(org)]
        try:
            if check:
                self._check(organizations)
            else:
                self._rebuild(organizations)
        except redis.RedisError as error:
            raise CommandError(f"The counters cannot be reached: {error}") from error

    def _rebuild(self, organizations: list[Organization]) -> None:
        built, failed = 0, []
        for organization in organizations:
            if Budget.objects.filter(organization=organization, end_user="*").exists():
                forget_budgets(organization)  # which end users have counters is known to the store alone
            try:
                built += rebuild_now(organization)
            except RebuildFailed as reason:
                failed.append(f"{organization.slug}: {reason}")
        self.stdout.write(f"Built {_counters(built)}.")
        if failed:
            raise CommandError(f"Not built, and to be tried again by the next call: {'; '.join(failed)}.")

    def _check(self, organizations: list[Organization]) -> None:
        compared, missing, rows = 0, 0, []
        for organization in organizations:
            budgets = Budget.objects.filter(organization=organization, enabled=True).select_related("organization")
            counters = known_counters(list(budgets))
            if not counters:
                continue
            found = budget_counters(counters)
            if found is None:
                raise CommandError("The counters cannot be reached.")
            names = {budget.pk: str(budget) for budget in budgets.select_related("service", "token", "policy")}
            for each, counter, ledger in zip(counters, found, ledger_now(organization, counters), strict=True):
                if counter is None:
                    missing += 1
                    continue
                compared += 1
                if counter.spent != ledger:
                    row = (nano_text(counter.spent), nano_text(ledger), nano_text(counter.spent - ledger))
                    rows.append((organization.slug, names[each.rule.id], *row))
        if missing:
            self.say(f"{_counters(missing)} not built: the next call does that.")
        if not rows:
            self.stdout.write(f"Compared {_counters(compared)} with the ledger: no difference.")
            return
        for line in table(
            ("ORG", "BUDGET", "COUNTER", "LEDGER", "DIFFERENCE"), rows, right={"COUNTER", "LEDGER", "DIFFERENCE"}
        ):
            self.stdout.write(line)
        raise CommandError(
            f"Compared {_counters(compared)} with the ledger: {len(rows)} different. What was answered in the last second may not "
            "be in the ledger yet; if they differ still, `manage.py rebuild_counters` builds them anew."
        )


def _counters(count: int) -> str:
    return f"{count} counter" if count == 1 else f"{count} counters"
