import argparse
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from apps.core.commands import OperatorCommand
from apps.core.endpoints import SCOPES
from apps.orgs.arguments import named_organization
from apps.orgs.models import Organization
from apps.policies.actions.policies import (
    Place,
    inline_set,
    place_of,
    policy_attach,
    policy_create,
    policy_detach,
    policy_update,
)
from apps.policies.arguments import (
    hours_or_none,
    list_or_none,
    named_credential,
    named_token,
    switch_or_none,
    text_or_none,
)
from apps.policies.effective import RULE_FIELDS
from apps.policies.models import (
    NUMBER_FIELDS,
    FallbackReason,
    HoldEstimate,
    Layer,
    Policy,
    StoreFailure,
    Unpriced,
    Untranslatable,
)
from apps.policies.selectors.policies import attachments_of, policy_by_name
from apps.policies.shown import rule_lines
from apps.providers.models import Provider
from apps.services.arguments import named_service

_OPTIONS: Mapping[str, tuple[Callable[[str], Any], str, str]] = {
    "allowed_models": (list_or_none, "a,b*", "names or patterns (* for any characters, ? for one)"),
    "denied_models": (list_or_none, "a,b*", "names or patterns; they win over allowed ones"),
    "allowed_providers": (list_or_none, "a,b", f"among {', '.join(Provider.values)}"),
    "denied_providers": (list_or_none, "a,b", "the same"),
    "allowed_endpoints": (list_or_none, "a,b", f"among {', '.join(SCOPES)}"),
    "denied_endpoints": (list_or_none, "a,b", "the same"),
    "allowed_networks": (list_or_none, "a,b", "where calls may come from: 10.0.0.0/8,192.0.2.7"),
    "allowed_hours": (hours_or_none, "a;b", "by the organization's clocks: 'mon-fri 08:00-18:00; sat,sun 10:00-14:00'"),
    **dict.fromkeys(NUMBER_FIELDS, (text_or_none, "N", "0 allows none")),
    "unpriced": (text_or_none, "CHOICE", f"models without a price: {', '.join(Unpriced.values)}"),
    "hold_estimate": (text_or_none, "CHOICE", f"what a budget holds for a call: {', '.join(HoldEstimate.values)}"),
    "store_failure": (text_or_none, "CHOICE", f"without counters: {', '.join(StoreFailure.values)}"),
    "preferred_provider": (text_or_none, "PROVIDER", "asked first where several serve a model"),
    "pinned_credential": (text_or_none, "LABEL", "the only credential that is used"),
    "fallback_on": (list_or_none, "a,b", f"the next route is tried after {', '.join(FallbackReason.values)} as well"),
    "hedge_after": (text_or_none, "MS", "milliseconds without a first byte until a second route is asked; 0: never"),
    "untranslatable": (text_or_none, "CHOICE", f"what a dialect cannot express: {', '.join(Untranslatable.values)}"),
    "hide_served": (switch_or_none, "yes|no", "whether answers leave out what served them, and its cost"),
    "cache": (switch_or_none, "yes|no", "whether answers may come from the cache"),
}


class Command(OperatorCommand):
    """Create or change a policy, and say where it holds."""

    help = (
        "Create a policy or change it, and attach it. Options that are left out stay as they are; none unsets a field; "
        "0 is zero. Prints what the policy says."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """See `help`."""
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument("--org", metavar="SLUG", help="the organization it belongs to")
        owner.add_argument("--installation", action="store_true", help="it is the installation's and holds for all")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--name", help="what the policy is called")
        what.add_argument("--inline", action="store_true", help="no policy: the own rules of the place in --attach-to")
        for option, text in (
            ("--attach-to", "org, service NAME, token ID (or its last four characters), or installation"),
            ("--detach-from", "the same"),
        ):
            parser.add_argument(option, nargs="+", action="append", default=[], metavar="PLACE", help=text)
        fields = parser.add_argument_group("fields")
        for name in RULE_FIELDS:
            read, metavar, text = _OPTIONS[name]
            fields.add_argument(
                f"--{name.replace('_', '-')}", type=read, default=argparse.SUPPRESS, metavar=metavar, help=text
            )

    @transaction.atomic
    def handle(
        self,
        *,
        org: str | None,
        name: str | None,
        inline: bool,
        attach_to: list[list[str]],
        detach_from: list[list[str]],
        **options: Any,
    ) -> None:
        """Does all of it or nothing."""
        if inline and (not attach_to or detach_from):
            raise CommandError("--inline changes the own rules of a place: name it with --attach-to.", returncode=2)
        organization = None if org is None else named_organization(org)
        fields = {field: options[field] for field in RULE_FIELDS if field in options}
        if fields.get("pinned_credential") is not None:
            fields["pinned_credential"] = named_credential(organization, fields["pinned_credential"])
        attach = [_place(words, organization) for words in attach_to]
        detach = [_place(words, organization) for words in detach_from]
        if both := set(map(str, attach)) & set(map(str, detach)):
            raise CommandError(f"Attach to or detach from {both.pop()}, not both.", returncode=2)
        if name is None:
            for place in attach:
                self._set_inline(place, fields)
        else:
            self._set_policy(organization, name, fields, attach, detach)

    def _set_inline(self, place: Place, fields: dict[str, Any]) -> None:
        policy = inline_set(layer=place.layer, fields=fields, actor=self.actor, **_target(place))
        if policy is None:
            self.stdout.write(f"Own rules of {place}: none.")
        else:
            self._show(f"Own rules of {place}:", policy)

    def _set_policy(
        self,
        organization: Organization | None,
        name: str,
        fields: dict[str, Any],
        attach: list[Place],
        detach: list[Place],
    ) -> None:
        known = policy_by_name(organization, name)
        if known is None:
            policy = policy_create(organization=organization, name=name, fields=fields, actor=self.actor)
            self.say(f"Created policy {policy.name}.")
        else:
            policy = policy_update(policy=known, fields=fields, actor=self.actor)
        for place in detach:
            if not policy_detach(policy=policy, layer=place.layer, actor=self.actor, **_target(place)):
                self.say(f"It did not hold for {place}.")
        for place in attach:
            former = policy_attach(policy=policy, layer=place.layer, actor=self.actor, **_target(place))
            if former is not None:
                self.say(f"It takes the place of policy {former.name} for {place}.")
        self._show(f"Policy {policy.name} of {organization or 'the installation'}:", policy)
        places = [str(Place(row.organization, row.service, row.token)) for row in attachments_of(policy)]
        self.stdout.write(f"Holds for: {', '.join(places) or 'nobody yet'}.")

    def _show(self, title: str, policy: Policy) -> None:
        self.stdout.write(title)
        for line in rule_lines(policy) or ["nothing is set"]:
            self.stdout.write(f"  {line}")


def _place(words: list[str], organization: Organization | None) -> Place:
    match words:
        case ["installation"] if organization is None:
            return place_of(Layer.INSTALLATION)
        case [_, *_] if organization is None:
            raise CommandError("With --installation, a policy is attached to installation alone.", returncode=2)
        case ["org"] if organization is not None:
            return place_of(Layer.ORGANIZATION, organization=organization)
        case ["service", name] if organization is not None:
            return place_of(Layer.SERVICE, service=named_service(organization.slug, name))
        case ["token", word]:
            return place_of(Layer.TOKEN, token=named_token(word, organization))
    raise CommandError(
        f"{' '.join(words)!r} is no place: write org, service NAME or token ID; with --installation, installation.",
        returncode=2,
    )


def _target(place: Place) -> dict[str, Any]:
    return {"organization": place.organization, "service": place.service, "token": place.token}
