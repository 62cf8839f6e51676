"""Who asks: what this key or session is, and what it may do."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.api.frame.examples import id_of
from apps.api.frame.operations import operation
from apps.api.frame.views import ApiView
from apps.orgs.roles import Permission


class MeShown(serializers.Serializer[Any]):
    """Whoever asks."""

    example = {
        "label": "nightly report (tg_admin_…wxyz)",
        "kind": "management_key",
        "organization": id_of("organization"),
        "permissions": ["records.read", "usage.read"],
    }

    label = serializers.CharField()
    kind = serializers.ChoiceField(choices=["user", "management_key"])
    organization = serializers.UUIDField(allow_null=True)
    role = serializers.CharField(allow_null=True)
    is_platform_staff = serializers.BooleanField()
    permissions = serializers.ListField(child=serializers.CharField())


class Me(ApiView):
    """Whoever asks."""

    tag = "Who asks"
    permissions: ClassVar = {"GET": None}

    @operation("Say who asks, and what they may do", gives=MeShown)
    def get(self) -> Any:
        """The key or session of this request."""
        access = self.access
        return {
            "label": access.label,
            "kind": "management_key" if access.user_id is None else "user",
            "organization": None if access.organization is None else str(access.organization.pk),
            "role": access.role,
            "is_platform_staff": access.is_platform_staff,
            "permissions": [str(each) for each in Permission if access.may(each)],
        }
