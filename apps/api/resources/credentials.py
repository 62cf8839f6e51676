"""Credentials: accounts at providers. Their secrets are written and never read."""

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.api.frame.examples import id_of
from apps.api.frame.fields import Choice, Moment, Strict, Switch, Text, Whole
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery, SharedInput
from apps.api.frame.views import ApiView
from apps.orgs.roles import Permission
from apps.providers.actions import (
    credential_add,
    credential_disable,
    credential_drain,
    credential_enable,
    credential_test,
    credential_undrain,
    credential_update,
)
from apps.providers.aliases.models import WEIGHT_MOST
from apps.providers.models import Credential, Provider

PRIORITY_MOST = 32_767
SECRET_MOST = 4096


class Seconds(serializers.FloatField):
    """A number of seconds above 0, as a JSON number."""

    default_error_messages = {"invalid": _("Write a number of seconds above 0.")}

    def __init__(self, **options: Any) -> None:
        """From a millisecond to a day."""
        super().__init__(min_value=0.001, max_value=86_400, **options)

    def to_internal_value(self, data: Any) -> float:
        """The number. Raises ValidationError for anything else."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class CredentialShown(serializers.Serializer[Credential]):
    """A provider's account, without its secret."""

    example = {
        "organization": id_of("organization"),
        "provider": "openai",
        "label": "main",
        "base_url": "https://api.openai.com/v1",
        "api_version": "",
        "priority": 100,
        "has_secret": True,
        "secret_hint": "1a2b",
        "total_timeout": 600.0,
        "drained": False,
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True, help_text="null: hosted.")
    provider = serializers.ChoiceField(choices=Provider.values)
    label = serializers.CharField()
    base_url = serializers.CharField(help_text="Empty of what is hosted, but for the installation's operators.")
    api_version = serializers.CharField()
    priority = serializers.IntegerField()
    weight = serializers.IntegerField(allow_null=True)
    has_secret = serializers.SerializerMethodField()
    secret_hint = serializers.CharField(help_text="Its last characters, if it is long enough to tell them.")
    connect_timeout = serializers.FloatField(allow_null=True)
    first_byte_timeout = serializers.FloatField(allow_null=True)
    idle_timeout = serializers.FloatField(allow_null=True)
    total_timeout = serializers.FloatField(allow_null=True)
    enabled = serializers.BooleanField()
    drained = serializers.SerializerMethodField(help_text="Whether it is given no new calls.")
    refused_at = Moment(allow_null=True, help_text="Since when its provider refuses it.")
    refused_status = serializers.IntegerField(allow_null=True)
    created_at = Moment()

    def to_representation(self, credential: Credential) -> dict[str, Any]:
        """As JSON. Of what is hosted, organizations learn that it is there, and nothing of the account."""
        shown: dict[str, Any] = super().to_representation(credential)
        if credential.organization_id is None and not self.context["access"].is_platform_staff:
            shown |= {"base_url": "", "api_version": "", "secret_hint": ""}
        return shown

    def get_has_secret(self, credential: Credential) -> bool:
        """Whether there is one."""
        return credential.sealed_secret is not None

    def get_drained(self, credential: Credential) -> bool:
        """Whether it is given no new calls."""
        return credential.drained_at is not None


class CredentialInput(SharedInput):
    """A new credential."""

    example = {"provider": "openai", "label": "main", "secret": "sk-proj-0123456789abcdef", "total_timeout": 600}

    provider = Choice(choices=Provider.values)
    label = Text(max_length=100)
    secret = Text(max_length=SECRET_MOST, allow_blank=True, required=False, write_only=True)
    base_url = Text(max_length=300, allow_blank=True, required=False, help_text="Left out: the provider's usual one.")
    api_version = Text(max_length=32, allow_blank=True, required=False, help_text="Azure OpenAI's dated API alone.")
    priority = Whole(required=False, min_value=0, max_value=PRIORITY_MOST)
    weight = Whole(required=False, allow_null=True, min_value=1, max_value=WEIGHT_MOST)
    connect_timeout = Seconds(required=False, allow_null=True)
    first_byte_timeout = Seconds(required=False, allow_null=True)
    idle_timeout = Seconds(required=False, allow_null=True)
    total_timeout = Seconds(required=False, allow_null=True)


class CredentialChange(Strict):
    """What changes of a credential. Another base URL takes the secret again."""

    example = {"drained": True, "weight": 3}

    label = Text(max_length=100, required=False)
    secret = Text(max_length=SECRET_MOST, allow_blank=True, required=False, write_only=True)
    base_url = Text(max_length=300, allow_blank=True, required=False)
    api_version = Text(max_length=32, allow_blank=True, required=False)
    priority = Whole(required=False, min_value=0, max_value=PRIORITY_MOST)
    weight = Whole(required=False, allow_null=True, min_value=1, max_value=WEIGHT_MOST)
    connect_timeout = Seconds(required=False, allow_null=True)
    first_byte_timeout = Seconds(required=False, allow_null=True)
    idle_timeout = Seconds(required=False, allow_null=True)
    total_timeout = Seconds(required=False, allow_null=True)
    enabled = Switch(required=False)
    drained = Switch(required=False)


class CredentialQuery(PageQuery):
    """Which credentials."""

    provider = Choice(choices=Provider.values, required=False)
    label = Text(max_length=100, required=False, help_text="Of exactly this label.")


class CredentialTestShown(serializers.Serializer[Any]):
    """What a live call to the provider showed."""

    example = {
        "ok": True,
        "sentence": "It answers.",
        "status": 200,
        "latency_ms": 184,
        "models": ["gpt-5", "gpt-5-mini"],
    }

    ok = serializers.BooleanField()
    sentence = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    models = serializers.ListField(child=serializers.CharField())


class Credentials(ApiView):
    """All of them."""

    tag = "Credentials"
    permissions: ClassVar = {"GET": Permission.CREDENTIALS_READ, "POST": Permission.CREDENTIALS_WRITE}
    shows = CredentialShown

    @operation("List credentials", query=CredentialQuery, gives=CredentialShown, paged=True)
    def get(self) -> Any:
        """A page of them, the installation's too."""
        rows = self.mine(Credential.objects.all())
        found = {name: self.query[name] for name in ("provider", "label") if name in self.query}
        return self.page(rows.filter(**found))

    @operation("Add a credential", takes=CredentialInput, gives=CredentialShown, status=201)
    def post(self) -> Any:
        """A new one."""
        owner = self.owner()
        given = {"secret": "", **self.given}
        return credential_add(organization=owner, actor=self.actor, **given)


class OneCredential(ApiView):
    """One of them."""

    tag = "Credentials"
    permissions: ClassVar = {"GET": Permission.CREDENTIALS_READ, "PATCH": Permission.CREDENTIALS_WRITE}
    rows = Credential
    shows = CredentialShown

    @operation("Read a credential", gives=CredentialShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Change a credential", takes=CredentialChange, gives=CredentialShown)
    def patch(self) -> Any:
        """As it is then."""
        given, actor = self.given, self.actor
        enabled, drained = given.pop("enabled", None), given.pop("drained", None)
        if given:
            credential_update(credential=self.row, actor=actor, **given)
        if enabled is not None:
            (credential_enable if enabled else credential_disable)(credential=self.row, actor=actor)
        if drained is not None:
            (credential_drain if drained else credential_undrain)(credential=self.row, actor=actor)
        return self.find()


class CredentialProbe(ApiView):
    """A live call with one."""

    tag = "Credentials"
    permissions: ClassVar = {"POST": Permission.CREDENTIALS_WRITE}
    rows = Credential
    locks = False

    @operation("Call the provider with a credential, now", gives=CredentialTestShown)
    def post(self) -> Any:
        """Changes nothing."""
        return credential_test(credential=self.row)
