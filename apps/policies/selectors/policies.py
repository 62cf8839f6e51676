"""Named reads of policies: which ones hold where, and what they come to."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from apps.orgs.models import Organization
from apps.policies.effective import (
    LAYERS,
    RULE_FIELDS,
    EffectivePolicy,
    Rules,
    effective_policy,
    rules_from_row,
)
from apps.policies.models import Attachment, Layer, Policy
from apps.services.models import Service, Token

# The columns that rules_from_row takes, beside layer, inline and subject.
_COLUMNS = ("id", "name", *(f"{name}_id" if name == "pinned_credential" else name for name in RULE_FIELDS))
_SELECT = ", ".join(f"p.{name}" for name in _COLUMNS)
_STRONGEST_FIRST = (
    "array_position(ARRAY[" + ", ".join(f"'{layer}'" for layer in LAYERS) + "]::varchar[], a.layer), a.inline DESC"
)

# What holds for one token, as rows for rules_from_row, strongest first. One parameter: the token's id.
# What is attached to the installation has no organization: asked by that column, as it has an index and the layer has none.
POLICY_LAYERS_SQL = f"""
SELECT {_SELECT}, a.layer, a.inline, COALESCE(a.token_id, a.service_id, t.organization_id) AS subject
FROM services_token t
JOIN policies_attachment a ON a.token_id = t.id OR a.service_id = t.service_id
  OR (a.organization_id = t.organization_id AND a.layer = 'organization') OR a.organization_id IS NULL
JOIN policies_policy p ON p.id = a.policy_id
WHERE t.id = %s ORDER BY {_STRONGEST_FIRST}
"""

# The same for an organization: what holds for all its tokens. One parameter: the organization's id.
ORGANIZATION_LAYERS_SQL = f"""
SELECT {_SELECT}, a.layer, a.inline, o.id AS subject
FROM orgs_organization o
JOIN policies_attachment a ON (a.organization_id = o.id AND a.layer = 'organization') OR a.organization_id IS NULL
JOIN policies_policy p ON p.id = a.policy_id
WHERE o.id = %s ORDER BY {_STRONGEST_FIRST}
"""


def layers_for_token(token: Token) -> list[Rules]:
    """Every policy that holds for a token, strongest first."""
    places = Q(token=token) | Q(service_id=token.service_id)
    return _layers(_of_organization(token.organization_id) | places, token.organization_id)


def layers_for_service(service: Service) -> list[Rules]:
    """Every policy that holds for the tokens of a service, strongest first."""
    return _layers(_of_organization(service.organization_id) | Q(service=service), service.organization_id)


def layers_for_organization(organization: Organization) -> list[Rules]:
    """Every policy that holds for all tokens of an organization, strongest first."""
    return _layers(_of_organization(organization.pk), organization.pk)


def effective_for_token(token: Token) -> EffectivePolicy:
    """What a token may do."""
    return effective_policy(layers_for_token(token))


def effective_for_service(service: Service) -> EffectivePolicy:
    """What a new token of the service would be allowed."""
    return effective_policy(layers_for_service(service))


def effective_for_organization(organization: Organization) -> EffectivePolicy:
    """What a token of a new service would be allowed."""
    return effective_policy(layers_for_organization(organization))


def attachments_of(policy: Policy) -> list[Attachment]:
    """Where a policy holds, with the service or token, the widest place first."""
    rows = Attachment.objects.filter(policy=policy).select_related("organization", "service", "token__service")
    order = list(Layer)
    return sorted(rows, key=lambda row: (order.index(Layer(row.layer)), str(row.service or row.token or "")))


def policy_by_name(organization: Organization | None, name: str) -> Policy | None:
    """The policy of this name, whatever its case; of no organization: the installation's."""
    return Policy.objects.filter(organization=organization, name__iexact=name.strip()).exclude(name="").first()


def inline_policy(
    layer: str, *, organization: Organization | None, service: Service | None = None, token: Token | None = None
) -> Policy | None:
    """The own rules of one place; None if it has none."""
    row = (
        Attachment.objects.filter(layer=layer, organization=organization, service=service, token=token, inline=True)
        .select_related("policy")
        .first()
    )
    return None if row is None else row.policy


def _of_organization(organization_id: UUID) -> Q:
    return Q(layer=Layer.INSTALLATION) | Q(layer=Layer.ORGANIZATION, organization_id=organization_id)


def _layers(places: Q, organization_id: UUID) -> list[Rules]:
    rows: Iterable[Attachment] = Attachment.objects.filter(places).select_related("policy")
    found = [
        rules_from_row(
            {
                **{name: getattr(row.policy, name) for name in _COLUMNS},
                "layer": row.layer,
                "inline": row.inline,
                "subject": row.token_id or row.service_id or organization_id,
            }
        )
        for row in rows
    ]
    return sorted(found, key=lambda rules: (LAYERS.index(rules.layer), not rules.inline))
