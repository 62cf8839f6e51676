from argparse import ArgumentParser
from typing import Any

import orjson

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.providers.aliases.models import Alias
from apps.providers.aliases.selectors import aliases_of, all_aliases, target_text


class Command(OperatorCommand):
    """Show aliases."""

    help = "Show aliases and what they stand for, the first target first. As a table, or with --json as JSON lines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", metavar="SLUG", help="those that hold for this organization; all if left out")
        parser.add_argument("--json", action="store_true", help="print JSON lines")

    def handle(self, *, org: str | None, json: bool, **_options: Any) -> None:
        """One line for each target."""
        rows = all_aliases() if org is None else aliases_of(named_organization(org))
        aliases = list(rows)
        if json:
            for alias in aliases:
                self.stdout.write(orjson.dumps(_facts(alias)).decode())
            return
        if not aliases:
            self.say("There are no aliases: `manage.py set_alias` makes one.")
            return
        lines = [("NAME", "OF", "STRATEGY", "STATE", "TARGETS")]
        for alias in aliases:
            texts = [target_text(target) for target in alias.targets.all()]
            state = "enabled" if alias.enabled else "disabled"
            lines.append((alias.name, _owner(alias), alias.strategy, state, texts[0] if texts else ""))
            lines += [("", "", "", "", text) for text in texts[1:]]
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        for line in lines:
            cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
            self.stdout.write("  ".join([*cells, line[4]]).rstrip())


def _owner(alias: Alias) -> str:
    return alias.organization.slug if alias.organization is not None else "everybody"


def _facts(alias: Alias) -> dict[str, Any]:
    return {
        "name": alias.name,
        "organization": None if alias.organization is None else alias.organization.slug,
        "strategy": alias.strategy,
        "enabled": alias.enabled,
        "targets": [
            {
                "model": target.model,
                "tier": target.tier,
                "weight": target.weight,
                "credential": None if target.credential is None else target.credential.label,
            }
            for target in alias.targets.all()
        ],
    }
