"""Client applications. Their tokens are issued, not declared."""

from collections.abc import Sequence

from apps.configuration.fields import Field, switch, text
from apps.configuration.section import Found, Owner, Section, Values
from apps.configuration.sections.rules import read_rules, rules_for_actions, rules_of, write_rules
from apps.core.actor import Actor
from apps.policies.actions.policies import inline_set
from apps.policies.models import Attachment, Layer
from apps.services.actions import service_create, service_disable, service_enable
from apps.services.models import Service


class Services(Section):
    """Services by name. One that is not listed is disabled, with --prune, and stays for its records."""

    name = "services"
    noun = "service"
    identity = ("name",)
    fields = (
        Field(name="name", read=text, required=True),
        Field(name="disabled", read=switch, default=False),
        Field(name="rules", read=read_rules, default={}, write=write_rules),
    )

    def label(self, values: Values) -> str:
        """The name."""
        return f"service {values['name']}"

    def rows(self, owner: Owner) -> list[Found]:
        """By name, each with its own rules."""
        places = Attachment.objects.filter(organization=owner, layer=Layer.SERVICE, inline=True)
        own = {row.service_id: row.policy for row in places.select_related("policy__pinned_credential")}
        return [
            self.found(
                {
                    "name": row.name,
                    "disabled": row.disabled_at is not None,
                    "rules": rules_of(own.get(row.pk), owner),
                },
                row,
            )
            for row in Service.objects.filter(organization=owner).order_by("name")
        ]

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Create it."""
        assert owner is not None  # noqa: S101 - the installation has no such section
        self._make(owner, service_create(organization=owner, name=values["name"], actor=actor), values, actor)
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Switch it, and set its rules."""
        self._make(owner, found.row, values, actor)
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Refuse its tokens."""
        del owner
        return service_disable(service=found.row, actor=actor)

    def is_gone(self, found: Found) -> bool:
        """Whether it is disabled."""
        return bool(found.values["disabled"])

    def _make(self, owner: Owner, row: Service, values: Values, actor: Actor) -> None:
        rules = rules_for_actions(values["rules"], owner)
        inline_set(layer=Layer.SERVICE, service=row, fields=rules, actor=actor)
        (service_disable if values["disabled"] else service_enable)(service=row, actor=actor)
