"""Every write to policies and to where they hold: the rule, the transaction, the admin event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.audit.actions import event_of_change, event_record, facts
from apps.core.actor import Actor
from apps.core.rows import save_valid
from apps.orgs.models import Organization
from apps.policies.effective import set_fields
from apps.policies.fields import set_policy_fields
from apps.policies.models import Attachment, Layer, Policy
from apps.policies.selectors.policies import attachments_of, inline_policy
from apps.services.models import Service, Token

_PLACES_SHOWN = 5
_INSTALLATION_LOCK = 0x70_6F_6C_69_63_79  # "policy": writers to the installation's place wait for each other


@dataclass(frozen=True, slots=True)
class Place:
    """Where a policy holds: one token, one service, an organization, or (nothing at all) the installation."""

    organization: Organization | None = None
    service: Service | None = None
    token: Token | None = None

    @property
    def layer(self) -> Layer:
        """What kind of place it is."""
        if self.token is not None:
            return Layer.TOKEN
        if self.service is not None:
            return Layer.SERVICE
        return Layer.ORGANIZATION if self.organization is not None else Layer.INSTALLATION

    def __str__(self) -> str:
        if self.token is not None:
            return _("token %(token)s") % {"token": self.token}
        if self.service is not None:
            return _("service %(service)s") % {"service": self.service}
        if self.organization is not None:
            return _("organization %(organization)s") % {"organization": self.organization}
        return _("the installation")


def place_of(
    layer: str,
    *,
    organization: Organization | None = None,
    service: Service | None = None,
    token: Token | None = None,
) -> Place:
    """The place of a layer. Raises ValidationError unless exactly what the layer needs is given, of one organization."""
    targets: Mapping[str, Organization | Service | Token | None] = {
        Layer.ORGANIZATION: organization,
        Layer.SERVICE: service,
        Layer.TOKEN: token,
    }
    if layer not in Layer.values:
        raise ValidationError(
            {"layer": _("%(layer)s is no layer: use %(layers)s.") % {"layer": layer, "layers": ", ".join(Layer.values)}}
        )
    target = targets.get(layer)
    if target is None and layer != Layer.INSTALLATION:
        raise ValidationError({layer: _("Say which %(layer)s.") % {"layer": Layer(layer).label}})
    others = [row for row in (service, token) if row is not None and row is not target]
    if others or (target is None and organization is not None):
        raise ValidationError(_("Name one place: the installation, an organization, a service or a token."))
    if target is None or isinstance(target, Organization):
        return Place(target)
    if organization is not None and organization.pk != target.organization_id:
        raise ValidationError({layer: _("%(target)s belongs to another organization.") % {"target": target}})
    return Place(target.organization, service, token)


def place_lock(place: Place) -> None:
    """Let other writers to this place wait until the transaction ends, while references to it stay free."""
    row = place.token or place.service or place.organization
    if row is None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_INSTALLATION_LOCK])
    else:
        type(row)._base_manager.select_for_update(no_key=True).get(pk=row.pk)


# --- Policies ---


@transaction.atomic
def policy_create(
    *, organization: Organization | None, name: str, actor: Actor, fields: Mapping[str, Any] | None = None
) -> Policy:
    """Create a policy of `organization`, or of the installation (None); it holds nowhere until it is attached.

    `fields`: what `apps.policies.fields.set_policy_fields` takes. Raises ValidationError.
    """
    policy = Policy(organization=organization)
    set_policy_fields(policy, {**(fields or {}), "name": name})
    _save(policy)
    event_record(
        "policy.created", actor=actor, target=policy, organization_id=policy.organization_id, after=facts(policy)
    )
    return policy


@transaction.atomic
def policy_update(*, policy: Policy, fields: Mapping[str, Any], actor: Actor) -> Policy:
    """Change what a policy says, `name` included, wherever it holds; fields that are not named stay. Raises ValidationError."""
    locked = _locked(policy)
    if not locked.name and "name" in fields:
        raise ValidationError({"name": _("Rules of one place have no name: create a policy and attach it instead.")})
    before = facts(locked)
    set_policy_fields(locked, fields)
    _save(locked)
    event_of_change("policy.updated", actor=actor, target=locked, organization_id=locked.organization_id, before=before)
    return locked


@transaction.atomic
def policy_delete(*, policy: Policy, actor: Actor) -> None:
    """Forget a policy. Raises ValidationError, with the places, while it is attached or budgets hang on it."""
    locked = _locked(policy)
    if not locked.name:
        raise ValidationError(_("Rules of one place are removed there: empty all their fields."))
    _refuse_while_used(locked)
    _forget(locked, actor=actor)


# --- Where they hold ---


@transaction.atomic
def policy_attach(
    *,
    policy: Policy,
    layer: str,
    actor: Actor,
    organization: Organization | None = None,
    service: Service | None = None,
    token: Token | None = None,
) -> Policy | None:
    """Let a policy hold at a place, instead of the one that was attached there; returns that one, None if there was none.

    One step, so that there is no moment without rules. Attached there already: nothing happens. Raises ValidationError for a
    place of another organization, and for the installation's policies anywhere but there.
    """
    place = place_of(layer, organization=organization, service=service, token=token)
    place_lock(place)
    locked = _locked(policy)
    _check_owner(locked, place)
    if not locked.name:
        raise ValidationError(_("Rules of one place hold there alone: create a policy with a name to attach it."))
    row = _attachment(place, inline=False)
    former = None
    if row is not None:
        if row.policy_id == locked.pk:
            return None
        former = row.policy
        _note_place("policy.detached", former, place, actor=actor)
        row.policy = locked
    else:
        row = Attachment(layer=place.layer, policy=locked, **_columns(place))
    save_valid(row)
    _note_place("policy.attached", locked, place, actor=actor)
    return former


@transaction.atomic
def policy_detach(
    *,
    policy: Policy,
    layer: str,
    actor: Actor,
    organization: Organization | None = None,
    service: Service | None = None,
    token: Token | None = None,
) -> bool:
    """Let a policy no longer hold at a place. False if it did not. Raises ValidationError."""
    place = place_of(layer, organization=organization, service=service, token=token)
    place_lock(place)
    row = _attachment(place, inline=False)
    if row is None or row.policy_id != policy.pk:
        return False
    row.delete()
    _note_place("policy.detached", row.policy, place, actor=actor)
    return True


@transaction.atomic
def inline_set(
    *,
    layer: str,
    fields: Mapping[str, Any],
    actor: Actor,
    organization: Organization | None = None,
    service: Service | None = None,
    token: Token | None = None,
) -> Policy | None:
    """Change the own rules of one place; fields that are not named stay. Where none is set any more, there are no own rules: None.

    Raises ValidationError.
    """
    place = place_of(layer, organization=organization, service=service, token=token)
    place_lock(place)
    known = inline_policy(place.layer, **_columns(place))
    policy = Policy(organization=place.organization) if known is None else _locked(known)
    before = facts(policy)
    if "name" in fields:
        raise ValidationError({"name": _("Rules of one place have no name: create a policy and attach it instead.")})
    set_policy_fields(policy, fields)
    if not set_fields(policy):
        if known is not None:
            _refuse_while_used(policy, attached=False)
            _forget(policy, actor=actor, place=place)
        return None
    save_valid(policy)
    if known is None:
        save_valid(Attachment(layer=place.layer, policy=policy, inline=True, **_columns(place)))
        event_record(
            "policy.created",
            actor=actor,
            target=policy,
            organization_id=policy.organization_id,
            after={**facts(policy), **_place_facts(place, inline=True)},
        )
    else:
        event_of_change(
            "policy.updated", actor=actor, target=policy, organization_id=policy.organization_id, before=before
        )
    return policy


# --- Shared ---


def _save(policy: Policy) -> None:
    """Save a valid policy. Names that differ by case alone are one name."""
    same = Policy.objects.filter(organization=policy.organization_id, name__iexact=policy.name).exclude(pk=policy.pk)
    if policy.name and same.exists():
        raise ValidationError({"name": _("A policy with this name exists: change that one, or choose another name.")})
    save_valid(policy)


def _locked(policy: Policy) -> Policy:
    found = (
        Policy.objects.select_for_update(of=("self",))
        .select_related("organization", "pinned_credential")
        .filter(pk=policy.pk)
        .first()
    )
    if found is None:
        raise ValidationError(_("The policy is gone: somebody deleted it."))
    return found


def _columns(place: Place) -> dict[str, Any]:
    return {"organization": place.organization, "service": place.service, "token": place.token}


def _attachment(place: Place, *, inline: bool) -> Attachment | None:
    rows = Attachment.objects.select_related("policy").filter(layer=place.layer, inline=inline, **_columns(place))
    return rows.first()


def _check_owner(policy: Policy, place: Place) -> None:
    if policy.organization_id is None and place.organization is not None:
        raise ValidationError(
            {"policy": _("%(policy)s is the installation's and is attached there alone.") % {"policy": policy}}
        )
    if policy.organization_id is not None and place.organization is None:
        raise ValidationError(
            {
                "policy": _(
                    "%(policy)s belongs to one organization: only the installation's own policies hold for all."
                )
                % {"policy": policy}
            }
        )
    if place.organization is not None and place.organization.pk != policy.organization_id:
        raise ValidationError({"policy": _("%(policy)s belongs to another organization.") % {"policy": policy}})


def _refuse_while_used(policy: Policy, *, attached: bool = True) -> None:
    if attached and (rows := attachments_of(policy)):
        places = [str(Place(row.organization, row.service, row.token)) for row in rows]
        shown = ", ".join(places[:_PLACES_SHOWN]) + (" …" if len(places) > _PLACES_SHOWN else "")
        raise ValidationError(
            _("The policy holds for %(places)s: detach it there first.") % {"places": shown}, code="attached"
        )
    budgets = [str(budget) for budget in policy.budgets.all()[:_PLACES_SHOWN]]
    if budgets:
        raise ValidationError(
            _("Budgets hang on the policy (%(budgets)s): delete them first.") % {"budgets": "; ".join(budgets)},
            code="budgets",
        )


def _forget(policy: Policy, *, actor: Actor, place: Place | None = None) -> None:
    before = facts(policy) | ({} if place is None else _place_facts(place, inline=True))
    event_record("policy.deleted", actor=actor, target=policy, organization_id=policy.organization_id, before=before)
    policy.delete()


def _place_facts(place: Place, *, inline: bool) -> dict[str, Any]:
    return {
        "layer": str(place.layer),
        "place": str(place),
        "service_id": place.service and place.service.pk,
        "token_id": place.token and place.token.pk,
        "inline": inline,
    }


def _note_place(action: str, policy: Policy, place: Place, *, actor: Actor) -> None:
    seen = _place_facts(place, inline=False)
    event_record(
        action,
        actor=actor,
        target=policy,
        organization_id=policy.organization_id,
        **({"after": seen} if action == "policy.attached" else {"before": seen}),
    )
