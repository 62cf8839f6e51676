"""Services: the client applications that tokens are issued to."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.api.frame.fields import Moment, QuerySwitch, Strict, Switch, Text
from apps.api.frame.operations import operation
from apps.api.frame.queries import OwnedInput, PageQuery
from apps.api.frame.views import ApiView
from apps.orgs.roles import Permission
from apps.services.actions import service_create, service_disable, service_enable, service_update
from apps.services.models import Service


class ServiceShown(serializers.Serializer[Service]):
    """A client application of an organization."""

    example = {"name": "Support chat", "enabled": True}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    name = serializers.CharField()
    enabled = serializers.SerializerMethodField(help_text="Whether its tokens are accepted.")
    disabled_at = Moment(allow_null=True)
    created_at = Moment()

    def get_enabled(self, service: Service) -> bool:
        """Whether its tokens are accepted."""
        return service.disabled_at is None


class ServiceInput(OwnedInput):
    """A new service."""

    example = {"name": "Support chat"}

    name = Text(max_length=100, help_text="Once in its organization.")


class ServiceChange(Strict):
    """What changes of a service."""

    example = {"enabled": False}

    name = Text(max_length=100, required=False)
    enabled = Switch(required=False, help_text="false: all its tokens are refused from now on.")


class ServiceQuery(PageQuery):
    """Which services."""

    name = Text(max_length=100, required=False, help_text="Of exactly this name.")
    enabled = QuerySwitch(required=False)


class Services(ApiView):
    """All of them."""

    tag = "Services"
    permissions: ClassVar = {"GET": Permission.SERVICES_READ, "POST": Permission.SERVICES_WRITE}
    shows = ServiceShown

    @operation("List services", query=ServiceQuery, gives=ServiceShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        rows = self.mine(Service.objects.all())
        if (name := self.query.get("name")) is not None:
            rows = rows.filter(name=name)
        if (enabled := self.query.get("enabled")) is not None:
            rows = rows.filter(disabled_at__isnull=enabled)
        return self.page(rows)

    @operation("Create a service", takes=ServiceInput, gives=ServiceShown, status=201)
    def post(self) -> Any:
        """A new one."""
        return service_create(organization=self.organization(), name=self.given["name"], actor=self.actor)


class OneService(ApiView):
    """One of them."""

    tag = "Services"
    permissions: ClassVar = {"GET": Permission.SERVICES_READ, "PATCH": Permission.SERVICES_WRITE}
    rows = Service
    shows = ServiceShown

    @operation("Read a service", gives=ServiceShown)
    def get(self) -> Any:
        """As it is."""
        return self.row

    @operation("Rename a service, or refuse or accept its tokens", takes=ServiceChange, gives=ServiceShown)
    def patch(self) -> Any:
        """As it is then."""
        if "name" in self.given:
            service_update(service=self.row, name=self.given["name"], actor=self.actor)
        if (enabled := self.given.get("enabled")) is not None:
            (service_enable if enabled else service_disable)(service=self.row, actor=self.actor)
        return self.find()
