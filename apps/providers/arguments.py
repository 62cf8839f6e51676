"""What the arguments of the providers' commands name, and how an alias's targets are written."""

import argparse
import shlex
from argparse import ArgumentParser

from django.core.management.base import CommandError

from apps.orgs.arguments import named_organization
from apps.orgs.models import Organization
from apps.providers.aliases.written import WrittenTarget
from apps.providers.models import Credential

_FORM = 'write it as "gpt-4o tier=1 weight=3 credential=main"'


def add_owner_arguments(parser: ArgumentParser, what: str) -> None:
    """`--org SLUG` or `--hosted`, one of which is required. `what`: the subject of their help."""
    owner = parser.add_mutually_exclusive_group(required=True)
    owner.add_argument("--org", metavar="SLUG", help=f"the organization that {what} belongs to")
    owner.add_argument("--hosted", action="store_true", help=f"{what} is the installation's, offered to all")


def named_owner(org: str | None) -> Organization | None:
    """Whose it is: the organization's, or with `--hosted` nobody's. Raises CommandError."""
    return None if org is None else named_organization(org)


def named_credential(organization: Organization | None, label: str) -> Credential:
    """The owner's credential of this label. Raises CommandError with those there are."""
    mine = Credential.objects.filter(organization=organization)
    found = mine.filter(label=label).first()
    if found is not None:
        return found
    labels = ", ".join(repr(each) for each in mine.order_by("label").values_list("label", flat=True)[:10])
    raise CommandError(
        f"{organization or 'The installation'} has no credential {label!r}: "
        + (f"there are {labels}." if labels else "`manage.py add_credential` adds one.")
    )


def target(word: str) -> WrittenTarget:
    """MODEL [tier=N] [weight=N] [credential=LABEL]: an argument's type."""
    try:
        model, *rest = shlex.split(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{word!r} cannot be read: {_FORM}") from error
    options: dict[str, str] = {}
    for part in rest:
        name, is_given, value = part.partition("=")
        if name not in {"tier", "weight", "credential"} or not is_given or name in options:
            raise argparse.ArgumentTypeError(f"{word!r}: {part!r} is not understood; {_FORM}")
        options[name] = value
    return WrittenTarget(
        model=model,
        tier=_number(word, options.get("tier")),
        weight=_number(word, options.get("weight")),
        credential=options.get("credential", ""),
    )


def _number(word: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{word!r}: tier and weight are whole numbers; {_FORM}")
    return int(text)
