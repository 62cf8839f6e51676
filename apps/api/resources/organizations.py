"""Organizations, and the settings of one."""

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.api.frame.fields import Choice, Moment, Ref, Strict, Switch, Text, Texts
from apps.api.frame.operations import operation
from apps.api.frame.views import ApiView
from apps.orgs.actions import (
    organization_create,
    organization_entitle,
    organization_resume,
    organization_suspend,
    organization_update,
)
from apps.orgs.models import SIGN_UP_ROLES, Organization
from apps.orgs.roles import Permission
from apps.orgs.signup.actions import sign_up_domains_set

SWITCHES = ("members_manage_services", "members_manage_tokens", "require_second_factor")


class OrganizationShown(serializers.Serializer[Organization]):
    """A tenant."""

    example = {
        "name": "Acme",
        "slug": "acme",
        "timezone": "Europe/Madrid",
        "hosted_credentials": True,
        "sign_up_domains": ["acme.example"],
        "sign_up_role": "member",
    }

    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    timezone = serializers.CharField()
    hosted_credentials = serializers.BooleanField(help_text="Whether its calls may use the installation's credentials.")
    sign_up_domains = serializers.ListField(child=serializers.CharField(), source="sign_up_domain_names")
    sign_up_role = serializers.CharField()
    suspended_at = Moment(allow_null=True)
    created_at = Moment()


class OrganizationInput(Strict):
    """A new organization."""

    example = {"name": "Acme", "slug": "acme", "timezone": "Europe/Madrid"}

    name = Text(max_length=100)
    slug = Text(max_length=50, help_text="Names it in commands and URLs.")
    timezone = Text(max_length=64, required=False, help_text="Such as Europe/Madrid; UTC if left out.")


class OrganizationChange(Strict):
    """What changes of an organization."""

    example = {"name": "Acme Industries", "timezone": "Europe/Berlin"}

    name = Text(max_length=100, required=False)
    slug = Text(max_length=50, required=False)
    timezone = Text(max_length=64, required=False)
    hosted_credentials = Switch(
        required=False,
        help_text="Whether its calls may use the installation's credentials. For the installation's operators.",
    )
    sign_up_domains = Texts(
        most=20,
        longest=253,
        required=False,
        help_text="Whoever has an e-mail of one of these may join by themselves. All of them: what is not listed goes.",
    )
    sign_up_role = Choice(
        choices=[role.value for role in SIGN_UP_ROLES], required=False, help_text="What they are then."
    )
    suspended = Switch(required=False, help_text="true: all its tokens are refused. For the installation's operators.")


class SettingsShown(serializers.Serializer[Organization]):
    """The settings of an organization."""

    example = {"timezone": "Europe/Madrid", "members_manage_tokens": True}

    organization = serializers.UUIDField(source="id")
    timezone = serializers.CharField(help_text="By which its days and months begin.")
    members_manage_services = serializers.BooleanField()
    members_manage_tokens = serializers.BooleanField()
    require_second_factor = serializers.BooleanField()


class SettingsChange(Strict):
    """What changes of them."""

    example = {"members_manage_tokens": True, "require_second_factor": False}

    timezone = Text(max_length=64, required=False)
    members_manage_services = Switch(required=False)
    members_manage_tokens = Switch(required=False)
    require_second_factor = Switch(required=False)


class SettingsQuery(Strict):
    """Whose settings."""

    organization = Ref(
        Organization,
        required=False,
        help_text="For the installation's operators, who must say whose where there are several.",
    )


class Organizations(ApiView):
    """All of them that whoever asks belongs to, or manages."""

    tag = "Organizations"
    permissions: ClassVar = {"GET": Permission.ORGANIZATION_READ, "POST": Permission.ORGANIZATION_WRITE}
    staff_only: ClassVar = frozenset({"POST"})
    shows = OrganizationShown

    @operation("List organizations", gives=OrganizationShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        rows = visible_organizations(self)
        if (chosen := self.query.get("organization")) is not None:
            rows = rows.filter(pk=chosen.pk)
        return self.page(rows)

    @operation("Create an organization", takes=OrganizationInput, gives=OrganizationShown, status=201)
    def post(self) -> Any:
        """A new one, without people yet."""
        return organization_create(**self.given, actor=self.actor)


class OneOrganization(ApiView):
    """One of them."""

    tag = "Organizations"
    permissions: ClassVar = {"GET": Permission.ORGANIZATION_READ, "PATCH": Permission.ORGANIZATION_WRITE}
    rows = Organization
    related = ()
    shows = OrganizationShown

    def visible(self) -> QuerySet[Any]:
        """One's own."""
        return visible_organizations(self)

    @operation("Read an organization", gives=OrganizationShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Change or suspend an organization", takes=OrganizationChange, gives=OrganizationShown)
    def patch(self) -> Any:
        """As it is then."""
        suspended, hosted = self.given.pop("suspended", None), self.given.pop("hosted_credentials", None)
        domains, is_staff = self.given.pop("sign_up_domains", None), self.access.is_platform_staff
        if (suspended, hosted) != (None, None) and not is_staff:
            raise PermissionDenied(_("Only the installation's operators suspend an organization, or entitle it."))
        organization_update(organization=self.row, actor=self.actor, **self.given)
        if hosted is not None:
            organization_entitle(organization=self.row, hosted_credentials=hosted, actor=self.actor)
        if domains is not None:
            sign_up_domains_set(organization=self.row, domains=domains, actor=self.actor, vouched=is_staff)
        if suspended is not None:
            (organization_suspend if suspended else organization_resume)(organization=self.row, actor=self.actor)
        return self.find()


class Settings(ApiView):
    """The settings of the organization of whoever asks."""

    tag = "Organizations"
    permissions: ClassVar = {"GET": Permission.ORGANIZATION_READ, "PATCH": Permission.ORGANIZATION_WRITE}
    rows = Organization
    shows = SettingsShown

    def find(self, *, lock: bool = False) -> Any:
        """The organization. Raises Http404 for one that is not there."""
        own = self.access.organization
        chosen = own
        if own is None:
            read = SettingsQuery(data=self.request.query_params.dict())
            read.is_valid(raise_exception=True)
            chosen = self.owner(**({"given": read.validated_data["organization"]} if read.validated_data else {}))
        if chosen is None:
            raise Http404
        rows = Organization.objects.filter(pk=chosen.pk)
        return (rows.select_for_update() if lock else rows).get()

    @operation("Read the settings", query=SettingsQuery, gives=SettingsShown)
    def get(self) -> Any:
        """As they are."""
        return self.row

    @operation("Change the settings", query=SettingsQuery, takes=SettingsChange, gives=SettingsShown)
    def patch(self) -> Any:
        """As they are then."""
        return organization_update(organization=self.row, actor=self.actor, **self.given)


def visible_organizations(view: ApiView) -> QuerySet[Organization]:
    """One's own; for the installation's operators, all."""
    return view.access.rows(Organization.objects.prefetch_related("sign_up_domains"), organization="pk")
