from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError
from django.utils.timezone import now

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.providers.prices.actions import price_set
from apps.providers.prices.documents import when
from apps.providers.prices.kinds import KINDS, TIERS
from apps.providers.prices.money import checked_price, number, per_million
from apps.providers.prices.tables import price_table

_PER = {"million": 1_000_000, "thousand": 1000, "one": 1}


class Command(OperatorCommand):
    """Set what a model costs."""

    help = (
        "Set what a model costs, for every organization or, with --org, for one. The row stands for itself: give every kind that "
        "has a price. Earlier requests keep what they cost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--provider", required=True, metavar="NAME", help="whose model it is, such as openai")
        parser.add_argument("--model", required=True, metavar="NAME", help="the provider's own name for it")
        parser.add_argument("--org", metavar="SLUG", help="for this organization alone")
        for kind in KINDS:
            parser.add_argument(f"--{kind.replace('_', '-')}", dest=kind, type=_number, metavar="USD")
        parser.add_argument(
            "--per",
            choices=_PER,
            default="million",
            help="how many units the prices are for: tokens, images … (million)",
        )
        parser.add_argument(
            "--tier", choices=TIERS, default="", help="for this service tier; the standard one if left out"
        )
        parser.add_argument(
            "--above-input-tokens", type=int, default=0, metavar="N", help="for requests with more input tokens than N"
        )
        parser.add_argument(
            "--from", dest="effective_from", type=date_argument, metavar="DATE", help="2026-12-01, UTC; now if left out"
        )
        parser.add_argument("--source", default="", metavar="URL", help="where the price is published")
        parser.add_argument("--note", default="", metavar="WORDS")
        parser.add_argument(
            "--replace", action="store_true", help="withdraw the price of the very same time, if there is one"
        )
        parser.add_argument(
            "--trust", action="store_true", help="it is right, though ten times what it was, or a tenth"
        )

    def handle(
        self,
        *,
        provider: str,
        model: str,
        org: str | None,
        per: str,
        tier: str,
        above_input_tokens: int,
        effective_from: datetime | None,
        source: str,
        note: str,
        replace: bool,
        trust: bool,
        **options: Any,
    ) -> None:
        """Refuses a price that is none, and one that looks mistyped."""
        given = {kind: options[kind] for kind in KINDS if options[kind] is not None}
        if not given:
            raise CommandError("Give at least one price, such as --input 2.50 --output 10.", returncode=2)
        price = price_set(
            organization=None if org is None else named_organization(org),
            provider=provider,
            model=model,
            prices={kind: _price(kind, value, per) for kind, value in given.items()},
            effective_from=effective_from or now(),
            actor=self.actor,
            tier=tier,
            above_input_tokens=above_input_tokens,
            source=source,
            note=note,
            replace=replace,
            trust=trust,
        )
        self.stdout.write(price_table({kind: getattr(price, kind) for kind in KINDS}))
        whom = org or "every organization without a price of its own"
        self.say(f"{price} for {whom}, from {price.effective_from:%Y-%m-%d %H:%M} UTC.")


def _number(word: str) -> Decimal:
    try:
        return number(word)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def date_argument(word: str) -> datetime:
    """2026-12-01 or a time in ISO 8601: an argument's type."""
    try:
        return when(word)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _price(kind: str, value: Decimal, per: str) -> Decimal:
    try:
        return checked_price(per_million(value, per=_PER[per]))
    except ValueError as error:
        raise CommandError(f"--{kind.replace('_', '-')}: {error}.") from None
