from argparse import ArgumentParser
from typing import Any

import orjson

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.policies.budget_tables import budget_table, state_facts
from apps.policies.selectors.budgets import budget_states, budgets_of


class Command(OperatorCommand):
    """Show how budgets stand."""

    help = (
        "Show how budgets stand: limit, spent, held by running calls, remaining, when the window begins anew, and when the "
        "limit is reached at the pace so far. As a table, or with --json as JSON lines with exact amounts."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", metavar="SLUG", help="of this organization; all if left out")
        parser.add_argument("--json", action="store_true", help="print JSON lines")

    def handle(self, *, org: str | None, json: bool, **_options: Any) -> None:
        """Says so where held amounts are not known."""
        budgets = budgets_of(None if org is None else named_organization(org))
        states = budget_states(budgets)
        if json:
            for state in states:
                self.stdout.write(orjson.dumps(state_facts(state)).decode())
            return
        if not states:
            self.say("There are no budgets: `manage.py set_budget` makes one.")
            return
        for line in budget_table(states):
            self.stdout.write(line)
        if any(state.held_usd is None for state in states):
            self.say("HELD is - where there are no counters (yet): what was spent is then from the ledger.")
