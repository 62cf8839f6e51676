"""One row of everything, for an organization: what the paths of the API may name."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.utils.timezone import now

from apps.core.actor import Actor
from apps.core.ids import request_id, uuid7

if TYPE_CHECKING:
    from apps.orgs.models import Organization

SYSTEM = Actor.system("command")
SECRET = "sk-upstream-never-to-be-seen-1234"


def furnish(organization: "Organization") -> dict[str, str]:
    """The rows' ids, as paths have them, by the name that the URL conf gives them."""
    from apps.audit.models import AdminEvent, RequestRecord
    from apps.orgs.actions import member_add
    from apps.orgs.invitations.actions import invitation_create
    from apps.orgs.keys.actions import key_issue
    from apps.orgs.models import User
    from apps.orgs.roles import Permission
    from apps.policies.actions.budgets import Subject, budget_create
    from apps.policies.actions.policies import policy_attach, policy_create
    from apps.policies.models import Attachment
    from apps.providers.actions import credential_add, model_add
    from apps.providers.aliases.actions import AliasGoal, alias_add
    from apps.providers.prices.actions import price_set
    from apps.services.actions import service_create, token_issue

    slug = organization.slug
    service = service_create(organization=organization, name=f"{slug} service", actor=SYSTEM)
    token, _plaintext = token_issue(service=service, name=f"{slug} token", actor=SYSTEM)
    key, _plaintext = key_issue(
        organization=organization,
        name=f"{slug} key",
        permissions=["services.read"],
        most=frozenset(Permission),
        actor=SYSTEM,
    )
    member = User.objects.create_user(f"somebody@{slug}.test")
    invitation, _path = invitation_create(
        organization=organization, email=f"guest@{slug}.test", role="member", delivery="link", actor=SYSTEM
    )
    credential = credential_add(
        organization=organization, provider="openai", label=f"{slug} credential", secret=SECRET, actor=SYSTEM
    )
    model = model_add(organization=organization, provider="openai", name=f"{slug}-model", actor=SYSTEM)
    alias = alias_add(
        organization=organization, name=f"{slug}-alias", targets=[AliasGoal(model=model.name)], actor=SYSTEM
    )
    policy = policy_create(organization=organization, name=f"{slug} policy", actor=SYSTEM)
    policy_attach(policy=policy, layer="service", service=service, actor=SYSTEM)
    budget = budget_create(
        organization=organization,
        subject=Subject("organization"),
        window="month",
        limit_usd=Decimal(5),
        actor=SYSTEM,
    )
    price = price_set(
        organization=organization,
        provider="openai",
        model=model.name,
        prices={"input": Decimal("2.5"), "output": Decimal(10)},
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        actor=SYSTEM,
    )
    record = RequestRecord.objects.create(
        id=uuid7(),
        created_at=now(),
        organization=organization,
        service=service,
        token=token,
        credential=credential,
        endpoint="chat_completions",
        dialect="openai",
        method="POST",
        path="/v1/chat/completions",
        model_asked=model.name,
        provider="openai",
        status=200,
        input_tokens=1200,
        output_tokens=34,
        total_us=2_000_000,
        cost_usd=Decimal("0.00334"),
        end_user=f"{slug} end user",
        attempts=[{"credential": "main", "status": 200}],
    )
    return {
        "organization_id": str(organization.pk),
        "service_id": str(service.pk),
        "token_id": str(token.pk),
        "key_id": str(key.pk),
        "member_id": str(member_add(organization=organization, user=member, role="member", actor=SYSTEM).pk),
        "invitation_id": str(invitation.pk),
        "credential_id": str(credential.pk),
        "model_id": str(model.pk),
        "alias_id": str(alias.pk),
        "policy_id": str(policy.pk),
        "attachment_id": str(Attachment.objects.get(policy=policy).pk),
        "budget_id": str(budget.pk),
        "webhook_id": str(_webhook(organization).pk),
        "price_id": str(price.pk),
        "record_id": record.shown_id,
        "request_id": request_id(_hold(organization.pk, token.pk)),
        "event_id": str(AdminEvent.objects.filter(organization=organization).latest("id").pk),
    }


def _webhook(organization: "Organization") -> Any:
    from django.conf import settings

    from apps.core.env import networks
    from apps.policies.actions.webhooks import webhook_add

    before, settings.EGRESS_ALLOW = settings.EGRESS_ALLOW, networks("127.0.0.0/8")
    try:
        return webhook_add(organization=organization, url=f"http://127.0.0.1:9/{organization.slug}", actor=SYSTEM)[0]
    finally:
        settings.EGRESS_ALLOW = before


def _hold(organization: UUID, token: UUID) -> UUID:
    """What a running call holds, as the store has it."""
    from apps.policies.counters import keys
    from apps.policies.counters.reading import store

    request, moment = uuid4(), int(now().timestamp() * 1000)
    store().hset(keys.HOLD, request.hex, f"{moment};1000000;{organization.hex};{token.hex};;")
    store().zadd(keys.LEASE, {request.hex: moment + 30_000})
    return request
