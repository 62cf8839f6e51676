from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from apps.core.commands import OperatorCommand
from apps.orgs.arguments import named_organization
from apps.policies.actions.webhooks import (
    webhook_add,
    webhook_delete,
    webhook_disable,
    webhook_enable,
    webhook_rotate_secret,
)
from apps.policies.models import Webhook


class Command(OperatorCommand):
    """Add, change or delete a webhook."""

    help = (
        "Have a URL told of budget alerts. Its signing secret is printed, this once, and alone goes to stdout. The URL must be "
        "https at a public address, unless EGRESS_ALLOW names its range."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="SLUG", help="the organization")
        parser.add_argument("--url", required=True, help="where it is told")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--rotate-secret", action="store_true", help="sign with a new secret from now on, and print it"
        )
        what.add_argument("--disable", action="store_true", help="tell it nothing for now")
        what.add_argument("--enable", action="store_true", help="tell it again")
        what.add_argument("--delete", action="store_true", help="forget it")

    def handle(
        self,
        *,
        org: str,
        url: str,
        rotate_secret: bool,
        disable: bool,
        enable: bool,
        delete: bool,
        **_options: Any,
    ) -> None:
        """Refuses a URL that is told already, and one that the egress rule refuses."""
        organization = named_organization(org)
        if not (rotate_secret or disable or enable or delete):
            webhook, secret = webhook_add(organization=organization, url=url, actor=self.actor)
            self._show_secret(webhook, secret)
            return
        found = Webhook.objects.filter(organization=organization, url=url.strip()).first()
        if found is None:
            raise CommandError(f"{organization} has no webhook {url!r}.")
        if rotate_secret:
            self._show_secret(found, webhook_rotate_secret(webhook=found, actor=self.actor))
        elif delete:
            webhook_delete(webhook=found, actor=self.actor)
            self.stdout.write(f"Deleted webhook {url}.")
        else:
            switch, word = (webhook_disable, "disabled") if disable else (webhook_enable, "enabled")
            done = switch(webhook=found, actor=self.actor)
            self.stdout.write(
                f"{word.capitalize()} webhook {url}." if done else f"Nothing to do: webhook {url} was {word} already."
            )

    def _show_secret(self, webhook: Webhook, secret: str) -> None:
        self.stdout.write(secret)
        self.say(f"Webhook {webhook} of {webhook.organization} is signed with this secret. It is shown this once.")
