"""Policies: what may be used and how fast; where they hold; and what they come to."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.api.frame.examples import id_of
from apps.api.frame.fields import Choice, Moment, Ref, Strict, Switch, Text, Texts, Whole
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery, SharedInput
from apps.api.frame.views import ApiView
from apps.api.resources.organizations import visible_organizations
from apps.orgs.models import Organization
from apps.orgs.roles import Permission
from apps.policies.actions.policies import (
    Place,
    inline_set,
    place_lock,
    policy_attach,
    policy_create,
    policy_delete,
    policy_detach,
    policy_update,
)
from apps.policies.effective import RULE_FIELDS, EffectivePolicy, set_fields
from apps.policies.fields import MOST_ENTRIES
from apps.policies.models import (
    CHOICE_FIELDS,
    LIST_FIELDS,
    MOST_COUNT,
    NUMBER_FIELDS,
    SWITCH_FIELDS,
    Attachment,
    HoldEstimate,
    Layer,
    Policy,
    StoreFailure,
    Unpriced,
    Untranslatable,
)
from apps.policies.selectors.policies import (
    effective_for_organization,
    effective_for_service,
    effective_for_token,
    inline_policy,
)
from apps.providers.models import Credential, Provider
from apps.services.models import Service, Token

_CHOICES: Mapping[str, list[str]] = {
    "unpriced": Unpriced.values,
    "hold_estimate": HoldEstimate.values,
    "store_failure": StoreFailure.values,
    "untranslatable": Untranslatable.values,
    "preferred_provider": Provider.values,
}


def _given() -> dict[str, Any]:
    """A field for each rule: left out keeps, null is "not set"."""
    usual: Any = {"required": False, "allow_null": True}
    return {
        **{name: Texts(most=MOST_ENTRIES, **usual) for name in LIST_FIELDS},
        **{name: Whole(min_value=0, max_value=MOST_COUNT, **usual) for name in NUMBER_FIELDS},
        **{name: Choice(choices=_CHOICES[name], **usual) for name in CHOICE_FIELDS},
        **{name: Switch(**usual) for name in SWITCH_FIELDS},
        "pinned_credential": Ref(Credential, **usual),
    }


def _shown() -> dict[str, Any]:
    """A field for each rule, null or empty where it is not set."""
    return {
        **{name: serializers.ListField(child=serializers.CharField()) for name in LIST_FIELDS},
        **{name: serializers.IntegerField(allow_null=True) for name in NUMBER_FIELDS},
        **{name: OrNull(choices=_CHOICES[name], allow_null=True) for name in CHOICE_FIELDS},
        **{name: serializers.BooleanField(allow_null=True) for name in SWITCH_FIELDS},
        "pinned_credential": serializers.UUIDField(source="pinned_credential_id", allow_null=True),
    }


class OrNull(serializers.ChoiceField):
    """One of some words; what is empty is null."""

    def to_representation(self, value: Any) -> Any:
        """The word."""
        return value or None


# One field for each rule of a policy: the classes are made of them.
_CAREFUL = {"allowed_models": ["gpt-*"], "requests_per_minute": 60, "max_output_tokens": 2000}
RulesShown: Any = type(
    "RulesShown",
    (serializers.Serializer,),
    {"__doc__": "What a policy says.", "example": _CAREFUL, **_shown()},
)
RulesChange: Any = type(
    "RulesChange",
    (Strict,),
    {"__doc__": "What changes of the rules of one place.", "example": {"requests_per_minute": 60}, **_given()},
)


class PolicyShown(RulesShown):
    """Rules under a name."""

    example = {"organization": id_of("organization"), "name": "careful", **_CAREFUL}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(
        source="organization_id", allow_null=True, help_text="null: the installation's."
    )
    name = serializers.CharField(help_text="Empty: the rules of one place alone.")
    created_at = Moment()


class PolicyInput(RulesChange):
    """A new policy. It holds nowhere until it is attached."""

    example = {"name": "careful", **_CAREFUL}

    organization = SharedInput().fields["organization"]
    name = Text(max_length=100)


class PolicyChange(RulesChange):
    """What changes of a policy, wherever it holds."""

    example = {"requests_per_minute": 120, "max_output_tokens": None}

    name = Text(max_length=100, required=False)


class PolicyQuery(PageQuery):
    """Which policies."""

    name = Text(max_length=100, required=False, help_text="Of exactly this name.")


class Policies(ApiView):
    """All of them that have a name."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ, "POST": Permission.POLICIES_WRITE}
    shows = PolicyShown

    @operation("List policies", query=PolicyQuery, gives=PolicyShown, paged=True)
    def get(self) -> Any:
        """A page of them, the installation's too."""
        rows = self.mine(Policy.objects.exclude(name=""))
        return self.page(rows.filter(name=self.query["name"]) if "name" in self.query else rows)

    @operation("Create a policy", takes=PolicyInput, gives=PolicyShown, status=201)
    def post(self) -> Any:
        """A new one."""
        owner = self.owner()
        name = self.given.pop("name")
        return policy_create(organization=owner, name=name, fields=self.given, actor=self.actor)


class OnePolicy(ApiView):
    """One of them."""

    tag = "Policies"
    permissions: ClassVar = {
        "GET": Permission.POLICIES_READ,
        "PATCH": Permission.POLICIES_WRITE,
        "DELETE": Permission.POLICIES_WRITE,
    }
    rows = Policy
    related = ("organization", "pinned_credential")
    shows = PolicyShown

    @operation("Read a policy", gives=PolicyShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Change a policy", takes=PolicyChange, gives=PolicyShown, needs_match=True)
    def patch(self) -> Any:
        """As it is then."""
        return policy_update(policy=self.row, fields=self.given, actor=self.actor)

    @operation("Forget a policy")
    def delete(self) -> Any:
        """Not while it holds somewhere."""
        policy_delete(policy=self.row, actor=self.actor)


class AttachmentShown(serializers.Serializer[Attachment]):
    """A policy holds here."""

    example = {"organization": id_of("organization"), "layer": "service", "service": id_of("service")}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    policy = serializers.UUIDField(source="policy_id")
    layer = serializers.ChoiceField(choices=Layer.values)
    service = serializers.UUIDField(source="service_id", allow_null=True)
    token = serializers.UUIDField(source="token_id", allow_null=True)
    inline = serializers.BooleanField(help_text="Whether the policy is this place's own rules.")


class AttachmentInput(Strict):
    """Where a policy shall hold, instead of the one that was attached there."""

    example = {"policy": id_of("policy"), "layer": "service", "service": id_of("service")}

    policy = Ref(Policy)
    layer = Choice(choices=Layer.values)
    organization = Ref(Organization, required=False)
    service = Ref(Service, required=False, help_text="With layer service.")
    token = Ref(Token, required=False, help_text="With layer token.")


class AttachmentQuery(PageQuery):
    """Which attachments."""

    policy = Ref(Policy, required=False)
    service = Ref(Service, required=False)
    token = Ref(Token, required=False)
    layer = Choice(choices=Layer.values, required=False)


class Attachments(ApiView):
    """All of them."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ, "POST": Permission.POLICIES_WRITE}
    shows = AttachmentShown

    @operation("List where policies hold", query=AttachmentQuery, gives=AttachmentShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        names = ("policy", "service", "token", "layer")
        return self.page(
            self.mine(Attachment.objects.all()).filter(**{n: self.query[n] for n in names if n in self.query})
        )

    @operation("Attach a policy", takes=AttachmentInput, gives=AttachmentShown, status=201)
    def post(self) -> Any:
        """At one place."""
        given, own = self.given, self.access.organization
        if given["layer"] == Layer.INSTALLATION and not self.access.is_platform_staff:
            raise PermissionDenied(_("Only the installation's operators attach policies to it."))
        if given["layer"] == Layer.ORGANIZATION:
            given.setdefault("organization", own or given["policy"].organization)
        policy_attach(actor=self.actor, **given)
        place = {name: given.get(name) for name in ("service", "token")}
        rows = Attachment.objects.filter(policy=given["policy"], layer=given["layer"], inline=False, **place)
        return rows.get()


class OneAttachment(ApiView):
    """One of them."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ, "DELETE": Permission.POLICIES_WRITE}
    rows = Attachment
    related = ("organization", "policy", "service", "token")
    locks = False
    shows = AttachmentShown

    @operation("Read where a policy holds", gives=AttachmentShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Detach a policy")
    def delete(self) -> Any:
        """It holds there no more. A place's own rules are emptied instead."""
        row = self.row
        if row.inline:
            raise ValidationError(_("These are the rules of one place: set all of them to null there."))
        places = {name: getattr(row, name) for name in ("organization", "service", "token")}
        wanted = {name: place for name, place in places.items() if name == row.layer}
        policy_detach(policy=row.policy, layer=row.layer, actor=self.actor, **wanted)


# --- The own rules of one place, and what holds there ---


class EffectiveShown(serializers.Serializer[Any]):
    """What holds for a token there, and which layer says so."""

    example = {
        "layers": [{"layer": "service", "policy": "careful", "inline": False, "fields": _CAREFUL}],
        "limits": [
            {
                "scope": "service",
                "subject": id_of("service").replace("-", ""),
                "kind": "requests",
                "limit": 60,
                "layer": "service",
                "policy_name": "careful",
            }
        ],
        "fields_held": {"max_output_tokens": {"value": 2000, "layer": "service", "policy": "careful"}},
    }

    layers = serializers.ListField(
        child=serializers.DictField(), help_text="Every policy that holds, strongest first, with what it says."
    )
    limits = serializers.ListField(child=serializers.DictField(), help_text="Each counts at its own place; all hold.")
    fields_held = serializers.DictField(
        child=serializers.DictField(), help_text="The other rules: their value, and the layer and policy it comes from."
    )


class _Rules(ApiView):
    """The own rules of one place."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ, "PATCH": Permission.POLICIES_WRITE}
    shows = RulesShown
    layer: ClassVar[Layer]

    def versioned(self) -> Any:
        """The rules, not the place."""
        return self._own()

    def _place(self) -> dict[str, Any]:
        return {str(self.layer): self.row}

    def _own(self) -> Any:
        place = self._place()
        if "organization" not in place:
            place["organization"] = self.row.organization
        return inline_policy(self.layer, **place) or Policy()

    @operation("Read the own rules of this place", gives=RulesShown)
    def get(self) -> Any:
        """Those that hold here alone."""
        return self._own()

    @operation("Change the own rules of this place", takes=RulesChange, gives=RulesShown)
    def patch(self) -> Any:
        """What is left out stays; null is not set."""
        inline_set(layer=self.layer, fields=self.given, actor=self.actor, **self._place())
        return self._own()


class OrganizationRules(_Rules):
    """An organization's own."""

    rows = Organization
    related = ()
    layer = Layer.ORGANIZATION

    def visible(self) -> QuerySet[Any]:
        """One's own organization."""
        return visible_organizations(self)


class ServiceRules(_Rules):
    """A service's own."""

    rows = Service
    layer = Layer.SERVICE


class TokenRules(_Rules):
    """A token's own."""

    rows = Token
    related = ("organization", "service")
    layer = Layer.TOKEN


class InstallationRules(ApiView):
    """The installation's own: for every organization."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ, "PATCH": Permission.POLICIES_WRITE}
    staff_only: ClassVar = frozenset({"PATCH"})
    shows = RulesShown

    def versioned(self) -> Any:
        """The rules, while others who change them wait."""
        place_lock(Place())
        return self._own()

    def _own(self) -> Any:
        return inline_policy(Layer.INSTALLATION, organization=None) or Policy()

    @operation("Read the installation's own rules", gives=RulesShown)
    def get(self) -> Any:
        """Those that hold for all."""
        return self._own()

    @operation("Change the installation's own rules", takes=RulesChange, gives=RulesShown)
    def patch(self) -> Any:
        """What is left out stays; null is not set."""
        inline_set(layer=Layer.INSTALLATION, fields=self.given, actor=self.actor)
        return self._own()


class OrganizationPolicy(ApiView):
    """What holds for a new service's tokens."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ}
    rows = Organization
    related = ()

    def visible(self) -> QuerySet[Any]:
        """One's own organization."""
        return visible_organizations(self)

    @operation("Say what holds for an organization", gives=EffectiveShown)
    def get(self) -> Any:
        """Of all layers together."""
        return told(effective_for_organization(self.row))


class ServicePolicy(ApiView):
    """What holds for a service's tokens."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ}
    rows = Service

    @operation("Say what holds for a service", gives=EffectiveShown)
    def get(self) -> Any:
        """Of all layers together."""
        return told(effective_for_service(self.row))


class TokenPolicy(ApiView):
    """What holds for a token."""

    tag = "Policies"
    permissions: ClassVar = {"GET": Permission.POLICIES_READ}
    rows = Token
    related = ("organization", "service")

    @operation("Say what holds for a token", gives=EffectiveShown)
    def get(self) -> Any:
        """Of all layers together."""
        return told(effective_for_token(self.row))


def told(policy: EffectivePolicy) -> dict[str, Any]:
    """What holds, as JSON."""
    held = [name for name in RULE_FIELDS if name in policy.sources and hasattr(policy, name)]
    return {
        "layers": [
            {
                "layer": rules.layer,
                "policy": rules.name or None,
                "inline": rules.inline,
                "fields": {name: _plain(value) for name, value in set_fields(rules).items()},
            }
            for rules in policy.layers
        ],
        "limits": [
            {name: _plain(getattr(limit, name)) for name in limit.__dataclass_fields__} for limit in policy.limits
        ],
        "fields_held": {
            name: {
                "value": _plain(getattr(policy, name)),
                "layer": policy.sources[name].layer,
                "policy": policy.sources[name].policy or None,
            }
            for name in held
        },
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
