"""An organization's own settings: the fields beside its sections."""

from collections.abc import Sequence
from typing import Any

from apps.configuration.document import Node
from apps.configuration.fields import Field, one_of, switch, text, texts
from apps.configuration.section import Found, Owner, Section, Stated, Values
from apps.core.actor import Actor
from apps.orgs.actions import (
    organization_create,
    organization_entitle,
    organization_resume,
    organization_suspend,
    organization_update,
)
from apps.orgs.domains import plain_domain
from apps.orgs.models import SIGN_UP_ROLES, Organization, Role
from apps.orgs.signup.actions import sign_up_domains_set

_SWITCHES = ("members_manage_services", "members_manage_tokens", "require_second_factor")
_CHANGES = ("name", "timezone", *_SWITCHES, "sign_up_role")


def _domains(node: Node) -> list[str]:
    """Domains, as they are kept."""
    return sorted({plain_domain(each) for each in texts(node)})


class OrganizationSection(Section):
    """One organization. Settings that are left out stay as they are, as the file may be about other things."""

    name = "organization"
    noun = "organization"
    identity = ("slug",)
    fields = (
        Field(name="slug", read=text, required=True),
        Field(name="name", read=text, default=""),
        Field(name="timezone", read=text, default="UTC"),
        *(Field(name=name, read=switch, default=False) for name in _SWITCHES),
        Field(name="sign_up_domains", read=_domains, default=[]),
        Field(name="sign_up_role", read=one_of([role.value for role in SIGN_UP_ROLES]), default=Role.MEMBER.value),
        Field(name="hosted_credentials", read=switch, default=True),
        Field(name="suspended", read=switch, default=False),
    )

    def label(self, values: Values) -> str:
        """Its slug, as commands name it."""
        return f"organization {values['slug']}"

    def rows(self, owner: Owner) -> list[Found]:
        """The one."""
        if owner is None:
            return []
        values = {
            "slug": owner.slug,
            "name": owner.name,
            "timezone": owner.timezone,
            **{name: getattr(owner, name) for name in _SWITCHES},
            "sign_up_domains": owner.sign_up_domain_names,
            "sign_up_role": owner.sign_up_role,
            "hosted_credentials": owner.hosted_credentials,
            "suspended": owner.suspended_at is not None,
        }
        return [self.found(values, owner)]

    def stated(self, node: Node, values: dict[str, Any], found: Found | None) -> Stated:
        """The entry, with what it leaves out as it is, or for a new one as it begins."""
        given = {name: values[name] for name in values if name in node.value}
        known = found.values if found is not None else {**self.defaults(), "name": values["slug"]}
        return Stated(self.key(values), {**known, **given}, node)

    def defaults(self) -> dict[str, Any]:
        """What a new organization has."""
        return {field.name: field.default for field in self.fields}

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Create it."""
        del owner
        created = organization_create(
            name=values["name"], slug=values["slug"], timezone=values["timezone"], actor=actor
        )
        self._set(created, values, actor)
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Change its settings."""
        del owner
        self._set(found.row, values, actor)
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Never: what is not in the file may be in another."""
        del owner, found, actor
        return False

    def _set(self, organization: Organization, values: Values, actor: Actor) -> None:
        organization_update(organization=organization, **{name: values[name] for name in _CHANGES}, actor=actor)
        sign_up_domains_set(organization=organization, domains=values["sign_up_domains"], actor=actor)
        organization_entitle(organization=organization, hosted_credentials=values["hosted_credentials"], actor=actor)
        (organization_suspend if values["suspended"] else organization_resume)(organization=organization, actor=actor)
