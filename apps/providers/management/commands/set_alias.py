from argparse import ArgumentParser
from typing import Any

from apps.core.commands import OperatorCommand
from apps.providers.aliases.actions import alias_set
from apps.providers.aliases.models import Strategy
from apps.providers.aliases.selectors import alias_remarks
from apps.providers.aliases.written import WrittenTarget, goals
from apps.providers.arguments import add_owner_arguments, named_owner, target


class Command(OperatorCommand):
    """Create or change an alias."""

    help = (
        "Let a name stand for other models: clients ask for it as for any. There is one alias of a name: it is created, or has "
        "exactly these targets from now on. A * in the name stands for any characters, and for the same in targets."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        add_owner_arguments(parser, "the alias")
        parser.add_argument("--name", required=True, help="what clients ask for, such as fast or claude-*")
        parser.add_argument(
            "--target",
            dest="targets",
            action="append",
            required=True,
            type=target,
            metavar="MODEL",
            help="a model's name or provider/name; may be repeated. After it, in the same quotes: tier=2 weight=3 credential=LABEL",
        )
        parser.add_argument(
            "--strategy",
            choices=Strategy.values,
            default=Strategy.ORDERED,
            help="which target is asked first: in their order (the default), by weight, whoever answers soonest or is least busy",
        )

    def handle(
        self, *, org: str | None, name: str, targets: list[WrittenTarget], strategy: str, **_options: Any
    ) -> None:
        """Says what may not have been meant."""
        organization = named_owner(org)
        alias, created = alias_set(
            organization=organization,
            name=name,
            targets=goals(organization, targets, strategy),
            strategy=strategy,
            actor=self.actor,
        )
        self.stdout.write(
            f"{'Created' if created else 'Set'} alias {alias} for {organization or 'every organization'}."
        )
        for remark in alias_remarks(alias):
            self.say(remark)
