"""Where an organization is told of its budgets."""

from collections.abc import Sequence

from apps.configuration.fields import Field, switch, text
from apps.configuration.section import Found, Owner, Section, Values
from apps.core.actor import Actor
from apps.policies.actions.webhooks import webhook_add, webhook_delete, webhook_disable, webhook_enable
from apps.policies.models import Webhook


class Webhooks(Section):
    """Webhooks by URL. The secret that signs what they are told is made here and never shown."""

    name = "webhooks"
    noun = "webhook"
    identity = ("url",)
    fields = (
        Field(name="url", read=text, required=True),
        Field(name="disabled", read=switch, default=False),
    )

    def label(self, values: Values) -> str:
        """The URL."""
        return f"webhook {values['url']}"

    def rows(self, owner: Owner) -> list[Found]:
        """By URL."""
        return [
            self.found({"url": row.url, "disabled": not row.enabled}, row)
            for row in Webhook.objects.filter(organization=owner).order_by("url")
        ]

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Tell it from now on."""
        assert owner is not None  # noqa: S101 - the installation has no such section
        row, _secret = webhook_add(organization=owner, url=values["url"], actor=actor)
        if values["disabled"]:
            webhook_disable(webhook=row, actor=actor)
        return ("`manage.py set_webhook --rotate-secret` prints the secret that it is signed with",)

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Switch it."""
        del owner
        (webhook_disable if values["disabled"] else webhook_enable)(webhook=found.row, actor=actor)
        return ()

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Tell it nothing any more."""
        del owner
        webhook_delete(webhook=found.row, actor=actor)
        return True
