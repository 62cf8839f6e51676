"""Who belongs to an organization, by e-mail."""

from collections.abc import Sequence

from apps.configuration.fields import Field, one_of, switch, text
from apps.configuration.section import Found, Owner, Section, Stated, Values
from apps.core.actor import Actor
from apps.orgs.actions import member_add, member_remove, member_update, owner_appoint, owner_create, user_create
from apps.orgs.models import Membership, Role
from apps.orgs.selectors import user_by_email


class Members(Section):
    """Members and their roles. Whoever has no account yet gets one without a password."""

    name = "members"
    noun = "member"
    identity = ("email",)
    fields = (
        Field(name="email", read=lambda node: text(node).lower(), required=True),
        Field(name="role", read=one_of(Role.values), required=True),
        Field(name="reads_content", read=switch, default=False),
    )

    def label(self, values: Values) -> str:
        """The e-mail."""
        return f"member {values['email']}"

    def rows(self, owner: Owner) -> list[Found]:
        """By e-mail."""
        members = Membership.objects.filter(organization=owner).select_related("user", "organization")
        return [
            self.found({"email": row.user.email, "role": row.role, "reads_content": row.reads_content}, row)
            for row in members.order_by("user__email")
        ]

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Add a person, and the account if there is none."""
        assert owner is not None  # noqa: S101 - the installation has no such section
        user, is_owner = user_by_email(values["email"]), values["role"] == Role.OWNER
        notes = []
        if user is None:
            notes.append("a new account, without a password: `manage.py sign_in_link` lets its owner in")
        if user is None and is_owner:
            user = owner_create(organization=owner, email=values["email"], password=None, actor=actor)
        elif user is None:
            user = user_create(email=values["email"], password=None, actor=actor)
        if is_owner:
            row = owner_appoint(organization=owner, user=user, actor=actor)
        else:
            row = member_add(organization=owner, user=user, role=values["role"], actor=actor)
        if values["reads_content"]:
            member_update(membership=row, reads_content=True, actor=actor)
        return notes

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Change the role, and what else the member may."""
        assert owner is not None  # noqa: S101 - the installation has no such section
        if values["role"] == Role.OWNER != found.values["role"]:
            owner_appoint(organization=owner, user=found.row.user, actor=actor)
        member_update(membership=found.row, role=values["role"], reads_content=values["reads_content"], actor=actor)
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """End the membership; the account stays."""
        del owner
        member_remove(membership=found.row, actor=actor)
        return True

    def order(self, entries: Sequence[Stated]) -> Sequence[Stated]:
        """Owners first: an organization may change hands, and is never without one."""
        return sorted(entries, key=lambda stated: stated.values["role"] != Role.OWNER)
