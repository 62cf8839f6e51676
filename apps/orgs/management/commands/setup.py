from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction
from django.utils.text import slugify

from apps.core.commands import OperatorCommand
from apps.core.env import env, text
from apps.orgs.actions import organization_create, owner_appoint, owner_create, sign_in_link_issue
from apps.orgs.models import Organization
from apps.orgs.selectors import membership_of, organization_by_slug, user_by_email


class Command(OperatorCommand):
    """Create an organization and its owner without a dialogue."""

    help = (
        "Create an organization and its owner. The owner's password is read from TOLLGATE_ADMIN_PASSWORD; without it, "
        "a one-time sign-in link is printed. Safe to repeat: what exists is left as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See `help`."""
        parser.add_argument("--org", required=True, metavar="NAME", help="the organization's name")
        parser.add_argument("--slug", help="its name in commands and URLs; made from NAME if left out")
        parser.add_argument("--email", required=True, help="the owner's e-mail")

    def handle(self, *, org: str, slug: str | None, email: str, **_options: Any) -> None:
        """All or nothing: an owner whose password is refused leaves no organization behind."""
        password = env("TOLLGATE_ADMIN_PASSWORD", text, "") or None
        with transaction.atomic():
            lines = self._organization_and_owner(org, slug or slugify(org), email, password)
        for line in lines:
            self.stdout.write(line)

    def _organization_and_owner(self, name: str, slug: str, email: str, password: str | None) -> list[str]:
        organization = organization_by_slug(slug)
        if organization is None:
            organization = organization_create(name=name, slug=slug, actor=self.actor)
            lines = [f"Created organization {organization} ({organization.slug})."]
        else:
            lines = [f"Organization {organization} ({organization.slug}) exists."]
        return [*lines, *self._owner(organization, email, password)]

    def _owner(self, organization: Organization, email: str, password: str | None) -> list[str]:
        user = user_by_email(email)
        if user is None:
            try:
                user = owner_create(organization=organization, email=email, password=password, actor=self.actor)
            except ValidationError as error:
                if reasons := error.message_dict.get("password"):
                    raise CommandError(f"TOLLGATE_ADMIN_PASSWORD: {' '.join(reasons)}") from error
                raise
            console = f"{settings.PUBLIC_URL}/admin/"
            if password is not None:
                return [f"Created owner {user}; sign in at {console}"]
            link = settings.PUBLIC_URL + sign_in_link_issue(user=user, actor=self.actor)
            return [f"Created owner {user}.", f"Sign in, once, within an hour: {link}"]
        membership = membership_of(user, organization)
        if membership is None:
            owner_appoint(organization=organization, user=user, actor=self.actor)
            return [f"User {user} exists and now owns {organization}."]
        kept = " The password is left as it was." if password is not None else ""
        return [f"User {user} exists as its {membership.get_role_display()}.{kept}"]
