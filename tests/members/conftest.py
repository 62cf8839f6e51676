"""Two organizations with a row of every kind, and people in every role."""

from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from tests.invitations.conftest import (  # noqa: F401 - fixtures
    COMMAND,
    _fresh_limits,
    _quick_passwords,
    acme,
    actor,
    mail,
    person,
    run,
    zeta,
)

type Rows = dict[str, Any]


def rows_of(organization: Any) -> Rows:
    """One row of every page of the console, of this organization; its words hold the organization's slug."""
    from decimal import Decimal

    from apps.audit.models import AdminEvent, RequestRecord
    from apps.objects.models import OwnedObject
    from apps.orgs.invitations.actions import invitation_create
    from apps.orgs.keys.actions import key_issue
    from apps.orgs.scim.actions import directory_token_issue
    from apps.orgs.scim.models import DirectoryGroup
    from apps.policies.actions.adjustments import adjustment_record
    from apps.policies.actions.budgets import Subject, budget_create
    from apps.policies.actions.policies import policy_create
    from apps.policies.models import AlertDelivery, BudgetAlert, CredentialAlert, Webhook
    from apps.providers.actions import credential_add, model_add
    from apps.providers.aliases.actions import AliasGoal, alias_add
    from apps.providers.prices.actions import price_set
    from apps.services.actions import service_create, token_issue

    slug = organization.slug
    own = {"organization": organization, "actor": COMMAND}
    service = service_create(name=f"{slug} service", **own)
    token, _plaintext = token_issue(service=service, name=f"{slug} token", actor=COMMAND)
    credential = credential_add(provider="openai", label=f"{slug} account", secret="sk-never-to-be-seen-1234", **own)
    model = model_add(provider="openai", name=f"{slug}-model", credential=credential, **own)
    budget = budget_create(subject=Subject("organization"), window="month", limit_usd=Decimal(5), **own)
    alert = BudgetAlert.objects.create(
        organization=organization,
        budget=budget,
        window_start=now(),
        level=50,
        spent_usd=Decimal(3),
        limit_usd=Decimal(5),
    )
    record = RequestRecord.objects.create(
        created_at=now(),
        organization=organization,
        service=service,
        token=token,
        credential=credential,
        endpoint="chat_completions",
        dialect="openai",
        method="POST",
        path="/v1/chat/completions",
        model_asked=f"{slug}-model",
        provider="openai",
        status=504,
        total_us=2_000_000,
    )
    return {
        "orgs_organization": organization,
        "services_service": service,
        "services_token": token,
        "objects_ownedobject": OwnedObject.objects.create(
            organization=organization,
            service=service,
            token=token,
            credential=credential,
            kind="file",
            upstream_id=f"file-{slug}",
            facts={"id": f"file-{slug}"},
        ),
        "policies_policy": policy_create(name=f"{slug} interns", fields={"requests_per_minute": 0}, **own),
        "policies_budget": budget,
        "policies_budgetalert": alert,
        "policies_credentialalert": CredentialAlert.objects.create(
            organization=organization, credential=credential, status=401
        ),
        "policies_alertdelivery": AlertDelivery.objects.create(
            organization=organization, alert=alert, channel="email", target=f"{slug}@hooks.test"
        ),
        "policies_webhook": Webhook.objects.create(
            organization=organization, url=f"https://hooks.test/{slug}", sealed_secret=b"sealed"
        ),
        "audit_adjustment": adjustment_record(amount_usd=Decimal("-0.5"), reason=f"{slug} test", **own),
        "providers_credential": credential,
        "providers_providermodel": model,
        "providers_alias": alias_add(name=f"{slug}-fast", targets=[AliasGoal(model=model.name)], **own),
        "providers_price": price_set(
            provider="openai",
            model=f"{slug}-model",
            prices={"input": Decimal(1), "output": Decimal(2)},
            effective_from=now(),
            **own,
        ),
        "audit_requestrecord": record,
        "audit_adminevent": AdminEvent.objects.get(target_id=token.pk),
        "scim_directorytoken": directory_token_issue(name=f"{slug} directory", **own)[0],
        "scim_directorygroup": DirectoryGroup.objects.create(organization=organization, display_name=f"{slug} group"),
        "keys_managementkey": key_issue(
            name=f"{slug} key", permissions=["services.read"], most=["services.read"], **own
        )[0],
        "invitations_invitation": invitation_create(email=f"new@{slug}.test", role="member", **own)[0],
    }


@pytest.fixture
def acmes(acme: Any) -> Rows:  # noqa: F811 - a fixture of the same name
    return rows_of(acme)


@pytest.fixture
def zetas(zeta: Any) -> Rows:  # noqa: F811 - a fixture of the same name
    return rows_of(zeta)


@pytest.fixture
def signed_in(person: Any, acme: Any) -> Any:  # noqa: F811 - fixtures of the same name
    """A browser of one of Acme's people, in this role."""

    def make(role: str) -> Client:
        client = Client()
        client.force_login(person(acme, role))
        return client

    return make
