"""Models that clients may ask for, and aliases that stand for them."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers

from apps.api.frame.examples import id_of
from apps.api.frame.fields import Choice, Moment, QuerySwitch, Ref, Strict, Switch, Text, Whole
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery, SharedInput
from apps.api.frame.views import ApiView
from apps.orgs.roles import Permission
from apps.providers.actions import model_add, model_remove, model_update
from apps.providers.aliases.actions import TARGETS_MOST, AliasGoal, alias_add, alias_remove, alias_update
from apps.providers.aliases.models import WEIGHT_MOST, Alias, AliasTarget, Strategy
from apps.providers.models import Credential, ModelKind, Provider, ProviderModel

TIER_MOST = 32_767


class ModelShown(serializers.Serializer[ProviderModel]):
    """A model that a provider serves."""

    example = {
        "organization": id_of("organization"),
        "provider": "openai",
        "name": "house-chat",
        "upstream_name": "gpt-5-mini",
        "kind": "chat",
        "priced_as": "gpt-5-mini",
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True, help_text="null: for all.")
    provider = serializers.ChoiceField(choices=Provider.values)
    name = serializers.CharField(help_text="What clients send as `model`.")
    upstream_name = serializers.CharField()
    kind = serializers.ChoiceField(choices=ModelKind.values)
    credential = serializers.UUIDField(source="credential_id", allow_null=True)
    priced_as = serializers.CharField()
    enabled = serializers.BooleanField()
    created_at = Moment()


class ModelInput(SharedInput):
    """A model to list."""

    example = {"provider": "openai", "name": "house-chat", "upstream_name": "gpt-5-mini", "priced_as": "gpt-5-mini"}

    provider = Choice(choices=Provider.values)
    name = Text(help_text="What clients send as `model`.")
    upstream_name = Text(required=False, allow_blank=True, help_text="The provider's own name for it, if another.")
    kind = Choice(choices=ModelKind.values, required=False)
    credential = Ref(Credential, required=False, allow_null=True, help_text="Only this one serves it; null: any.")
    priced_as = Text(required=False, allow_blank=True, help_text="Priced as this model of the book.")


class ModelChange(Strict):
    """What changes of a model."""

    example = {"enabled": False}

    name = Text(required=False)
    upstream_name = Text(required=False, allow_blank=True)
    kind = Choice(choices=ModelKind.values, required=False)
    credential = Ref(Credential, required=False, allow_null=True)
    priced_as = Text(required=False, allow_blank=True)
    enabled = Switch(required=False)


class ModelQuery(PageQuery):
    """Which models."""

    provider = Choice(choices=Provider.values, required=False)
    name = Text(required=False, help_text="Of exactly this name.")
    enabled = QuerySwitch(required=False)


class Models(ApiView):
    """All of them."""

    tag = "Models"
    permissions: ClassVar = {"GET": Permission.MODELS_READ, "POST": Permission.MODELS_WRITE}
    shows = ModelShown

    @operation("List models", query=ModelQuery, gives=ModelShown, paged=True)
    def get(self) -> Any:
        """A page of them, those for all too."""
        found = {name: self.query[name] for name in ("provider", "name", "enabled") if name in self.query}
        return self.page(self.mine(ProviderModel.objects.all()).filter(**found))

    @operation("List a model", takes=ModelInput, gives=ModelShown, status=201)
    def post(self) -> Any:
        """A new one."""
        return model_add(organization=self.owner(), actor=self.actor, **self.given)


class OneModel(ApiView):
    """One of them."""

    tag = "Models"
    permissions: ClassVar = {
        "GET": Permission.MODELS_READ,
        "PATCH": Permission.MODELS_WRITE,
        "DELETE": Permission.MODELS_WRITE,
    }
    rows = ProviderModel
    related = ("organization", "credential")
    shows = ModelShown

    @operation("Read a model", gives=ModelShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Change a model", takes=ModelChange, gives=ModelShown)
    def patch(self) -> Any:
        """As it is then."""
        return model_update(model=self.row, actor=self.actor, **self.given)

    @operation("Take a model off the list")
    def delete(self) -> Any:
        """One of the catalogue is disabled instead."""
        model_remove(model=self.row, actor=self.actor)


class TargetShown(serializers.Serializer[AliasTarget]):
    """One of the models that an alias stands for."""

    example = {"model": "gpt-5", "tier": 1, "weight": 1}

    model = serializers.CharField()
    credential = serializers.UUIDField(source="credential_id", allow_null=True)
    tier = serializers.IntegerField()
    weight = serializers.IntegerField()


class AliasShown(serializers.Serializer[Alias]):
    """A name that stands for models."""

    example = {"organization": id_of("organization"), "name": "best"}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True, help_text="null: for all.")
    name = serializers.CharField()
    strategy = serializers.ChoiceField(choices=Strategy.values)
    targets = TargetShown(many=True)
    enabled = serializers.BooleanField()
    created_at = Moment()


class TargetInput(Strict):
    """One of the models that it shall stand for."""

    example = {"model": "gpt-5", "weight": 3}

    model = Text(help_text="A model's name, or provider/name.")
    credential = Ref(Credential, required=False, allow_null=True, help_text="Only this one is asked; null: any.")
    tier = Whole(required=False, min_value=0, max_value=TIER_MOST, help_text="The lowest is asked first; 1.")
    weight = Whole(required=False, min_value=1, max_value=WEIGHT_MOST, help_text="Its share of its tier; 1.")


class AliasInput(SharedInput):
    """A new alias."""

    example = {
        "name": "best",
        "strategy": "ordered",
        "targets": [{"model": "gpt-5"}, {"model": "anthropic/claude-sonnet-5", "tier": 2}],
    }

    name = Text(help_text="What clients send as `model`. One * stands for any characters.")
    strategy = Choice(choices=Strategy.values, required=False)
    targets = serializers.ListField(child=TargetInput(), min_length=1, max_length=TARGETS_MOST)


class AliasChange(Strict):
    """What changes of an alias. `targets` take the place of all there are."""

    example = {"targets": [{"model": "gpt-5-mini"}]}

    name = Text(required=False)
    strategy = Choice(choices=Strategy.values, required=False)
    targets = serializers.ListField(child=TargetInput(), required=False, min_length=1, max_length=TARGETS_MOST)
    enabled = Switch(required=False)


class AliasQuery(PageQuery):
    """Which aliases."""

    name = Text(required=False, help_text="Of exactly this name.")


class Aliases(ApiView):
    """All of them."""

    tag = "Aliases"
    permissions: ClassVar = {"GET": Permission.MODELS_READ, "POST": Permission.MODELS_WRITE}
    shows = AliasShown

    @operation("List aliases", query=AliasQuery, gives=AliasShown, paged=True)
    def get(self) -> Any:
        """A page of them, those for all too."""
        rows: QuerySet[Alias] = self.mine(Alias.objects.prefetch_related("targets"))
        return self.page(rows.filter(name=self.query["name"]) if "name" in self.query else rows)

    @operation("Add an alias", takes=AliasInput, gives=AliasShown, status=201)
    def post(self) -> Any:
        """A new one."""
        owner = self.owner()
        targets = [AliasGoal(**target) for target in self.given.pop("targets")]
        return alias_add(organization=owner, targets=targets, actor=self.actor, **self.given)


class OneAlias(ApiView):
    """One of them."""

    tag = "Aliases"
    permissions: ClassVar = {
        "GET": Permission.MODELS_READ,
        "PATCH": Permission.MODELS_WRITE,
        "DELETE": Permission.MODELS_WRITE,
    }
    rows = Alias
    shows = AliasShown

    @operation("Read an alias", gives=AliasShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Change an alias", takes=AliasChange, gives=AliasShown, needs_match=True)
    def patch(self) -> Any:
        """As it is then."""
        given = self.given
        if "targets" in given:
            given["targets"] = [AliasGoal(**target) for target in given["targets"]]
        alias_update(alias=self.row, actor=self.actor, **given)
        return self.find()

    @operation("Forget an alias")
    def delete(self) -> Any:
        """Its name means again what it meant without it."""
        alias_remove(alias=self.row, actor=self.actor)
