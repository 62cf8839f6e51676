"""What the arguments of the policies' commands name, and how their values are written. `none` is "not set" everywhere; 0 is 0."""

import argparse
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import Q

from apps.core.commands import comma_separated
from apps.orgs.models import Organization
from apps.policies.models import Policy
from apps.policies.selectors.policies import policy_by_name
from apps.providers.models import Credential
from apps.services.models import Token
from apps.services.tokens import PREFIX, masked

NONE = "none"


def text_or_none(word: str) -> str | None:
    """A value, or `none`. An empty one is refused: a variable that is not set must not lift a rule."""
    if not word.strip():
        raise argparse.ArgumentTypeError("the value is empty: write none to unset it")
    return None if word.strip().lower() == NONE else word


def list_or_none(word: str) -> list[str]:
    """a,b,c or `none`, which is the empty list."""
    return _entries(word, comma_separated(word))


def hours_or_none(word: str) -> list[str]:
    """Hours of the week apart by semicolons, as days are apart by commas; or `none`."""
    return _entries(word, [part.strip() for part in word.split(";") if part.strip()])


def switch_or_none(word: str) -> bool | None:
    """yes, no or `none`."""
    try:
        return {"yes": True, "no": False, NONE: None}[word.strip().lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{word!r}: write yes, no or none") from None


def named_token(word: str, organization: Organization | None = None) -> Token:
    """The token with this id or with these last four characters, of `organization` if one is given. Raises CommandError."""
    tokens = Token.objects.select_related("service", "organization")
    if organization is not None:
        tokens = tokens.filter(organization=organization)
    where = "" if organization is None else f" of {organization}"
    hint = word.removeprefix(masked(""))
    if hint.startswith(PREFIX):
        raise CommandError(
            "A token among the arguments can be read by others on this machine: name it by its id or its last four characters."
        )
    try:
        found = list(tokens.filter(pk=UUID(word)))
    except ValueError:
        found = list(tokens.filter(hint=hint)[:5])
    if not found:
        raise CommandError(f"There is no token {word!r}{where}: name it by its id or its last four characters.")
    if len(found) > 1:
        ids = ", ".join(f"{token.pk} ({token.service} · {token.name})" for token in found)
        raise CommandError(f"Several tokens end in {hint}: name one by its id: {ids}.")
    return found[0]


def named_policy(organization: Organization | None, name: str) -> Policy:
    """The policy of this name. Raises CommandError with those there are."""
    policy = policy_by_name(organization, name)
    if policy is not None:
        return policy
    rows = Policy.objects.filter(organization=organization).exclude(name="").order_by("name")
    names = list(rows.values_list("name", flat=True)[:10])
    hint = f"there are {', '.join(names)}" if names else "`manage.py set_policy` creates one"
    raise CommandError(f"{organization or 'The installation'} has no policy {name!r}: {hint}.")


def named_credential(organization: Organization | None, label: str) -> Credential:
    """The credential of this label: the organization's own, else the installation's. Raises CommandError with those there are."""
    offered = Credential.objects.filter(Q(organization=organization) | Q(organization=None)).order_by(
        "organization", "label"
    )
    own = sorted(offered.filter(label=label.strip()), key=lambda credential: credential.organization_id is None)
    if own:
        return own[0]
    labels = list(offered.values_list("label", flat=True)[:10])
    hint = f"there are {', '.join(labels)}" if labels else "`manage.py add_credential` adds one"
    raise CommandError(f"There is no credential {label!r} to pin: {hint}.")


def _entries(word: str, entries: list[str]) -> list[str]:
    if not entries:
        raise argparse.ArgumentTypeError("the list is empty: write none to unset it")
    if [entry.lower() for entry in entries] == [NONE]:
        return []
    if NONE in {entry.lower() for entry in entries}:
        raise argparse.ArgumentTypeError(f"{word!r}: none stands alone")
    return entries
