"""Two organizations with the same rows each, and rows of the installation's own."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from apps.core.actor import Actor

if TYPE_CHECKING:  # models can be imported only once the services run, which is after this file has been read
    from apps.orgs.models import Organization, User

ACTOR = Actor.system("command")
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Two:
    acme: "Organization"
    zeta: "Organization"
    ana: "User"  # of acme
    zoe: "User"  # of zeta


@pytest.fixture
def two(db: None) -> Two:
    from apps.orgs.actions import organization_create
    from apps.providers.actions import credential_add

    acme = organization_create(name="Acme", slug="acme", actor=ACTOR)
    zeta = organization_create(name="Zeta", slug="zeta", actor=ACTOR)
    credential_add(organization=None, provider="openai", label="hosted", secret="sk-hosted-1234567890", actor=ACTOR)
    people = [furnished(each) for each in (acme, zeta)]
    return Two(acme, zeta, *people)


def furnished(organization: "Organization") -> "User":
    """Its owner. With a service, a token, a credential, an alias, a price, a policy and a budget."""
    from apps.orgs.actions import member_add
    from apps.orgs.models import Role, User
    from apps.policies.actions.budgets import Subject, budget_create
    from apps.policies.actions.policies import policy_create
    from apps.providers.actions import credential_add
    from apps.services.actions import service_create, token_issue

    slug = organization.slug
    person = User.objects.create_user(f"owner@{slug}.test", PASSWORD, is_staff=True)
    member_add(organization=organization, user=person, role=Role.OWNER, actor=ACTOR)
    service = service_create(organization=organization, name=f"Chat of {slug}", actor=ACTOR)
    token_issue(service=service, name="first", actor=ACTOR)
    credential_add(organization=organization, provider="openai", label="own", secret="sk-own-1234567890", actor=ACTOR)
    policy_create(organization=organization, name="Careful", actor=ACTOR)
    budget_create(
        organization=organization,
        subject=Subject("organization"),
        limit_usd=Decimal(5),
        window="month",
        actor=ACTOR,
    )
    return person
