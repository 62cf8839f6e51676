"""Named reads of aliases."""

import shlex

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.orgs.models import Organization
from apps.providers.aliases.models import Alias, AliasTarget
from apps.providers.aliases.names import STAR, AliasRule, Target, target_of
from apps.providers.models import Credential, ProviderModel


def aliases_of(organization: Organization | None) -> QuerySet[Alias]:
    """The organization's aliases by name, with their targets, its own before the installation's; None: the installation's."""
    whose = Q(organization=None) if organization is None else Q(organization=organization) | Q(organization=None)
    return all_aliases().filter(whose).order_by("organization_id", "name")


def all_aliases() -> QuerySet[Alias]:
    """Everybody's, by name, with their targets."""
    return Alias.objects.select_related("organization").prefetch_related("targets__credential").order_by("name", "id")


def alias_rules(organization: Organization) -> list[AliasRule]:
    """The aliases that hold for the organization, as apps.providers.aliases.names takes them."""
    enabled = [alias for alias in aliases_of(organization) if alias.enabled]
    return [_rule(alias) for alias in sorted(enabled, key=lambda alias: (alias.organization_id is None, alias.pk))]


def alias_named(organization: Organization | None, name: str) -> Alias | None:
    """The alias of exactly this name, of the organization itself, or of the installation (None)."""
    return Alias.objects.filter(organization=organization, name=name).first()


def alias_remarks(alias: Alias) -> list[str]:
    """What its author may not have meant, in sentences. None of it is an error, as models and credentials come and go."""
    whose = Q(organization=None)
    if alias.organization_id is not None:
        whose |= Q(organization=alias.organization_id)
    targets = [target for target in alias.targets.select_related("credential") if STAR not in target.model]
    found = [remark for target in targets if (remark := _remark(target, whose))]
    before, star, after = alias.name.partition(STAR)
    if star and before:
        models = ProviderModel.objects.filter(whose, name__startswith=before, name__endswith=after, enabled=True)
        if names := sorted(set(models.values_list("name", flat=True))):
            found.append(
                _("%(alias)s stands before %(count)d listed models of such names: %(names)s …")
                % {"alias": alias, "count": len(names), "names": ", ".join(names[:3])}
            )
    return found


def _remark(target: AliasTarget, whose: Q) -> str:
    """What may be wrong with a target; empty: nothing."""
    models = ProviderModel.objects.filter(whose)

    def is_listed(provider: str, name: str) -> bool:
        return models.filter(name=name, **({"provider": provider} if provider else {})).exists()

    meant = target_of(target.model, "", is_listed)
    if meant is None:
        return ""
    provider = meant.provider or (target.credential.provider if target.credential is not None else "")
    words = {"model": target.model, "provider": provider}
    rows = models.filter(name=meant.model, **({"provider": provider} if provider else {}))
    if not provider and not rows.exists():
        if Alias.objects.filter(whose, name=target.model).exists():
            return _("%(model)s is an alias, and targets mean models alone: there is no model of this name.") % words
        return _("%(model)s is not listed, and leads nowhere until it is; or write it as provider/name.") % words
    if rows.exists() and not rows.filter(enabled=True).exists():
        return _("%(model)s is disabled, and leads nowhere until it is enabled.") % words
    providers = {provider} if provider else set(rows.values_list("provider", flat=True))
    usable = Credential.objects.filter(whose, provider__in=providers, enabled=True, drained_at=None)
    if not usable.exists():
        return _("%(model)s has no enabled credential of its provider yet.") % words
    if not rows.exists():
        return _("%(model)s is not listed: the provider is asked for it by just this name.") % words
    return ""


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


def target_text(row: AliasTarget) -> str:
    """A target on one line, as set_alias takes it."""
    words = [row.model, f"tier={row.tier}"]
    if row.weight != 1:
        words.append(f"weight={row.weight}")
    if row.credential is not None:
        words.append(f"credential={shlex.quote(row.credential.label)}")
    return " ".join(words)
