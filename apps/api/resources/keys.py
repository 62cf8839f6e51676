"""Management keys: what programs use this API with."""

from datetime import timedelta
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.utils.timezone import now
from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.api.frame.examples import LATER, id_of
from apps.api.frame.fields import Moment, Text, Texts
from apps.api.frame.operations import operation
from apps.api.frame.queries import SharedInput
from apps.api.frame.views import ApiView
from apps.orgs.keys.actions import NETWORKS_MOST, key_issue, key_revoke
from apps.orgs.keys.models import ManagementKey
from apps.orgs.keys.selectors import KeyAccess
from apps.orgs.roles import Permission

USUAL_LIFETIME = timedelta(days=90)


class KeyShown(serializers.Serializer[ManagementKey]):
    """A management key, without the key itself."""

    example = {
        "organization": id_of("organization"),
        "name": "nightly report",
        "masked": "tg_admin_…wxyz",
        "permissions": ["records.read", "usage.read"],
        "allowed_networks": ["192.0.2.0/24"],
        "state": "live",
        "expires_at": LATER,
    }

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    name = serializers.CharField()
    masked = serializers.CharField(help_text="How it is shown after its one reveal.")
    permissions = serializers.ListField(child=serializers.CharField())
    allowed_networks = serializers.ListField(child=serializers.CharField())
    state = serializers.SerializerMethodField()
    expires_at = Moment(allow_null=True)
    revoked_at = Moment(allow_null=True)
    last_used_at = Moment(allow_null=True, help_text="To the minute.")
    created_by = serializers.UUIDField(source="created_by_id", allow_null=True)
    created_at = Moment()

    def get_state(self, key: ManagementKey) -> str:
        """live, expired or revoked."""
        return key.state(now()).value


class KeyIssued(KeyShown):
    """A new management key, with the key itself: shown this once."""

    example = {"key": "tg_admin_…the whole key, this once…wxyz"}

    key = serializers.SerializerMethodField(help_text="The key. Keep it now: it is not shown again.")

    def get_key(self, _key: ManagementKey) -> str:
        """The key in the clear."""
        return str(self.context["plaintext"])


class KeyInput(SharedInput):
    """A new management key."""

    example = {"name": "nightly report", "permissions": ["records.read", "usage.read"]}

    name = Text(max_length=100)
    permissions = Texts(choices=[each.value for each in Permission], most=len(Permission), allow_empty=False)
    allowed_networks = Texts(most=NETWORKS_MOST, longest=49, required=False, help_text="Where it may be used from.")
    expires_at = Moment(required=False, allow_null=True, help_text="In 90 days if left out; null: never.")


class Keys(ApiView):
    """All of them."""

    tag = "Management keys"
    permissions: ClassVar = {"GET": Permission.KEYS_READ, "POST": Permission.KEYS_WRITE}
    shows = KeyShown

    @operation("List management keys", gives=KeyShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        return self.page(self.mine(ManagementKey.objects.all(), hosted=False))

    @operation("Issue a management key", takes=KeyInput, gives=KeyIssued, status=201)
    def post(self) -> Any:
        """A new one, and the key itself. Whoever issues it must be signed in, so that it ends with them."""
        if isinstance(self.access, KeyAccess):
            raise PermissionDenied(_("A management key issues no other: sign in."))
        given = self.given
        key, plaintext = key_issue(
            organization=self.owner(),
            name=given["name"],
            permissions=given["permissions"],
            most=frozenset(each for each in Permission if self.access.may(each)),
            expires_at=given.get("expires_at", now() + USUAL_LIFETIME),
            allowed_networks=given.get("allowed_networks", ()),
            actor=self.actor,
        )
        return self.shown(key, KeyIssued, plaintext=plaintext)


class OneKey(ApiView):
    """One of them."""

    tag = "Management keys"
    permissions: ClassVar = {"GET": Permission.KEYS_READ}
    rows = ManagementKey
    shows = KeyShown

    @operation("Read a management key", gives=KeyShown)
    def get(self) -> Any:
        """As it is."""
        return self.row


class KeyRevocation(ApiView):
    """The end of one."""

    tag = "Management keys"
    permissions: ClassVar = {"POST": Permission.KEYS_WRITE}
    rows = ManagementKey
    shows = KeyShown

    @operation("Revoke a management key", gives=KeyShown)
    def post(self) -> Any:
        """Refused from now on, for good; the same again if it was already."""
        key_revoke(key=self.row, actor=self.actor)
        return self.find()
