"""Admin events: who changed what, through which door, before and after."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.api.frame.examples import id_of
from apps.api.frame.fields import Id, Moment, Text
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery
from apps.api.frame.views import ApiView
from apps.audit.models import AdminEvent
from apps.core.ids import uuid7_floor
from apps.orgs.roles import Permission


class EventShown(serializers.Serializer[AdminEvent]):
    """One change. Never a secret."""

    example = {
        "organization": id_of("organization"),
        "actor": id_of("user"),
        "actor_label": "ana@example.org",
        "door": "api",
        "address": "192.0.2.7",
        "action": "service.updated",
        "target_type": "services.service",
        "target": id_of("service"),
        "target_label": "Support chat",
        "before": {"name": "Chat"},
        "after": {"name": "Support chat"},
    }

    id = serializers.UUIDField()
    created_at = Moment()
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    actor = serializers.UUIDField(source="actor_id", allow_null=True)
    actor_label = serializers.CharField()
    door = serializers.CharField(help_text="admin, api, command, up or system.")
    address = serializers.CharField(allow_null=True)
    action = serializers.CharField(help_text="Such as token.issued.")
    target_type = serializers.CharField()
    target = serializers.UUIDField(source="target_id", allow_null=True)
    target_label = serializers.CharField()
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)


class EventQuery(PageQuery):
    """Which events."""

    action = Text(max_length=64, required=False, help_text="Such as token.issued.")
    target = Id(required=False, help_text="Of this row.")
    actor = Id(required=False, help_text="By this user.")
    since = Moment(required=False)
    until = Moment(required=False)


class Events(ApiView):
    """All of them."""

    tag = "Admin events"
    permissions: ClassVar = {"GET": Permission.EVENTS_READ}
    shows = EventShown

    @operation("List admin events", query=EventQuery, gives=EventShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        query, rows = self.query, self.mine(AdminEvent.objects.all())
        named = {"action": "action", "target": "target_id", "actor": "actor_id"}
        rows = rows.filter(**{column: query[name] for name, column in named.items() if name in query})
        if "since" in query:
            rows = rows.filter(pk__gte=uuid7_floor(query["since"]))
        if "until" in query:
            rows = rows.filter(pk__lt=uuid7_floor(query["until"]))
        return self.page(rows)


class OneEvent(ApiView):
    """One of them."""

    tag = "Admin events"
    permissions: ClassVar = {"GET": Permission.EVENTS_READ}
    rows = AdminEvent
    related = ()
    shows = EventShown

    @operation("Read an admin event", gives=EventShown)
    def get(self) -> Any:
        """As it was written."""
        return self.row
