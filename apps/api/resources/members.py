"""Members: who belongs to an organization, in which role. People join by invitation."""

from typing import Any, ClassVar

from rest_framework import serializers

from apps.api.frame.fields import Choice, Moment, Strict, Switch, Text
from apps.api.frame.operations import operation
from apps.api.frame.queries import PageQuery
from apps.api.frame.views import ApiView
from apps.orgs.actions import member_remove, member_update
from apps.orgs.models import Membership, Organization, Role
from apps.orgs.roles import Permission


class MemberShown(serializers.Serializer[Membership]):
    """Somebody's membership."""

    example = {"email": "ana@example.org", "name": "Ana Ash", "role": "admin"}

    id = serializers.UUIDField()
    organization = serializers.UUIDField(source="organization_id")
    user = serializers.UUIDField(source="user_id")
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    role = serializers.ChoiceField(choices=Role.values)
    reads_content = serializers.BooleanField(help_text="Whether they see what was asked and answered.")
    is_active = serializers.BooleanField(source="user.is_active")
    created_at = Moment()


class MemberChange(Strict):
    """What changes of a membership."""

    example = {"role": "auditor"}

    role = Choice(choices=Role.values, required=False)
    reads_content = Switch(required=False)


class MemberQuery(PageQuery):
    """Which members."""

    email = Text(max_length=254, required=False, help_text="With exactly this address.")
    role = Choice(choices=Role.values, required=False)


class Members(ApiView):
    """All of them."""

    tag = "Members"
    permissions: ClassVar = {"GET": Permission.MEMBERS_READ}
    shows = MemberShown

    @operation("List members", query=MemberQuery, gives=MemberShown, paged=True)
    def get(self) -> Any:
        """A page of them."""
        rows = self.mine(Membership.objects.select_related("user"))
        if (email := self.query.get("email")) is not None:
            rows = rows.filter(user__email=email.lower())
        if (role := self.query.get("role")) is not None:
            rows = rows.filter(role=role)
        return self.page(rows)


class OneMember(ApiView):
    """One of them."""

    tag = "Members"
    permissions: ClassVar = {
        "GET": Permission.MEMBERS_READ,
        "PATCH": Permission.MEMBERS_WRITE,
        "DELETE": Permission.MEMBERS_WRITE,
    }
    rows = Membership
    related = ("organization", "user")
    shows = MemberShown

    def find(self, *, lock: bool = False) -> Any:
        """The membership; to be changed, with its organization locked before it, as the actions do. Raises Http404."""
        if lock:
            Organization.objects.select_for_update().get(pk=super().find().organization_id)
        return super().find(lock=lock)

    @operation("Read a member", gives=MemberShown)
    def get(self) -> Any:
        """As they are."""
        return self.row

    @operation("Change what a member may do", takes=MemberChange, gives=MemberShown)
    def patch(self) -> Any:
        """As they are then. Nobody changes their own role, or gives one that is not theirs to give."""
        member_update(membership=self.row, actor=self.actor, **self.given)
        return self.find()

    @operation("End a membership")
    def delete(self) -> Any:
        """The last owner stays."""
        member_remove(membership=self.row, actor=self.actor)
