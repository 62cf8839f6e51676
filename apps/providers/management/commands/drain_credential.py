from argparse import ArgumentParser
from typing import Any

from apps.core.commands import OperatorCommand
from apps.providers.actions import credential_drain, credential_undrain
from apps.providers.arguments import add_owner_arguments, named_credential, named_owner


class Command(OperatorCommand):
    """Drain a credential, or end that."""

    help = (
        "Give a credential no new calls. Calls under way are finished, and what was made with it (files, batches, stored "
        "responses) can still be reached. --undo gives it calls again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        add_owner_arguments(parser, "the credential")
        parser.add_argument("--label", required=True, help="what the credential is called")
        parser.add_argument("--undo", action="store_true", help="give it calls again")

    def handle(self, *, org: str | None, label: str, undo: bool, **_options: Any) -> None:
        """Says so, and succeeds, if it was so already."""
        credential = named_credential(named_owner(org), label)
        if undo:
            done = credential_undrain(credential=credential, actor=self.actor)
            self.stdout.write(
                f"{credential} gets calls again." if done else f"Nothing to do: {credential} was not drained."
            )
        else:
            done = credential_drain(credential=credential, actor=self.actor)
            self.stdout.write(
                f"{credential} gets no new calls." if done else f"Nothing to do: {credential} was drained already."
            )
        if done and not credential.enabled:
            self.say("It is disabled: it gets no calls in any case.")
