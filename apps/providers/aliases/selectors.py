"""Named reads of aliases."""

from django.db.models import Q, QuerySet

from apps.orgs.models import Organization
from apps.providers.aliases.models import Alias
from apps.providers.aliases.names import AliasRule, Target


def aliases_of(organization: Organization | None) -> QuerySet[Alias]:
    """The organization's aliases by name, with their targets, its own before the installation's; None: the installation's."""
    whose = Q(organization=None) if organization is None else Q(organization=organization) | Q(organization=None)
    rows = Alias.objects.filter(whose).select_related("organization").prefetch_related("targets__credential")
    return rows.order_by("organization_id", "name")


def alias_rules(organization: Organization) -> list[AliasRule]:
    """The aliases that hold for the organization, as apps.providers.aliases.names takes them."""
    enabled = [alias for alias in aliases_of(organization) if alias.enabled]
    return [_rule(alias) for alias in sorted(enabled, key=lambda alias: (alias.organization_id is None, alias.pk))]


def alias_named(organization: Organization | None, name: str) -> Alias | None:
    """The alias of exactly this name, of the organization itself, or of the installation (None)."""
    return Alias.objects.filter(organization=organization, name=name).first()


def _rule(alias: Alias) -> AliasRule:
    targets = tuple(
        Target(
            model=target.model,
            credential="" if target.credential_id is None else target.credential_id.hex,
            tier=target.tier,
            weight=target.weight,
        )
        for target in alias.targets.all()
    )
    return AliasRule(
        name=alias.name, targets=targets, strategy=alias.strategy, created=int(alias.created_at.timestamp())
    )
