"""What the gateway loads in one statement is what the console reads."""

import pytest
from django.db import connection

from apps.core.actor import Actor
from apps.orgs.actions import organization_create
from apps.policies.effective import rules_from_row
from apps.policies.models import Attachment, Policy
from apps.policies.selectors.policies import (
    ORGANIZATION_LAYERS_SQL,
    POLICY_LAYERS_SQL,
    layers_for_organization,
    layers_for_service,
    layers_for_token,
)
from apps.services.actions import service_create, token_issue

ACTOR = Actor(door="api", label="ana@acme.test")


def rows(statement: str, parameter: object) -> list[dict[str, object]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [parameter])
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.django_db
def test_one_statement_reads_every_layer_of_a_token_and_nothing_of_its_neighbors() -> None:
    acme = organization_create(name="Acme", slug="acme", actor=ACTOR)
    zeta = organization_create(name="Zeta", slug="zeta", actor=ACTOR)
    shop = service_create(organization=acme, name="shop", actor=ACTOR)
    desk = service_create(organization=acme, name="desk", actor=ACTOR)
    other = service_create(organization=zeta, name="shop", actor=ACTOR)
    token, _ = token_issue(service=shop, name="a", actor=ACTOR)
    neighbor, _ = token_issue(service=shop, name="b", actor=ACTOR)
    places = [
        {"layer": "installation", "organization": None},
        {"layer": "organization", "organization": acme},
        {"layer": "organization", "organization": zeta},
        {"layer": "service", "organization": acme, "service": shop},
        {"layer": "service", "organization": acme, "service": desk},
        {"layer": "service", "organization": zeta, "service": other},
        {"layer": "token", "organization": acme, "token": token},
        {"layer": "token", "organization": acme, "token": neighbor},
    ]
    for number, place in enumerate(places):
        for inline in (False, True):
            policy = Policy.objects.create(
                organization=place["organization"],
                name="" if inline else f"policy {number}",
                requests_per_minute=number,
            )
            Attachment.objects.create(policy=policy, inline=inline, **place)

    found = [rules_from_row(row) for row in rows(POLICY_LAYERS_SQL, token.pk)]

    assert [(rules.layer, rules.inline, rules.requests_per_minute) for rules in found] == [
        ("token", True, 6),
        ("token", False, 6),
        ("service", True, 3),
        ("service", False, 3),
        ("organization", True, 1),
        ("organization", False, 1),
        ("installation", True, 0),
        ("installation", False, 0),
    ]
    assert [rules.subject for rules in found[::2]] == [token.pk.hex, shop.pk.hex, acme.pk.hex, acme.pk.hex]
    assert layers_for_token(token) == found
    assert layers_for_service(shop) == found[2:]
    of_organization = [rules_from_row(row) for row in rows(ORGANIZATION_LAYERS_SQL, acme.pk)]
    assert layers_for_organization(acme) == of_organization == found[4:]
