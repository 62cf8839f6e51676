"""Providers' accounts. Their secrets stay out of the file: it names the variables that hold them."""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.core.exceptions import ValidationError

from apps.configuration.fields import (
    Field,
    FromEnvironment,
    one_of,
    seconds_or_none,
    secret,
    switch,
    text,
    text_or_none,
    whole,
    whole_or_none,
    written_secret,
)
from apps.configuration.section import Found, Owner, Section, Stated, Values
from apps.core.actor import Actor
from apps.core.env import env
from apps.core.env import text as any_text
from apps.core.sealing import SealingError
from apps.providers.actions import (
    TIMEOUTS,
    credential_add,
    credential_disable,
    credential_drain,
    credential_enable,
    credential_undrain,
    credential_update,
)
from apps.providers.kinds import kind_of, trimmed
from apps.providers.models import Credential, Provider

_SETTINGS = ("base_url", "api_version", "priority", "weight", *TIMEOUTS)


class Credentials(Section):
    """Credentials by label. One that is not listed is disabled, with --prune, and stays for its records."""

    name = "credentials"
    noun = "credential"
    identity = ("label",)
    hosted = True
    fields = (
        Field(name="label", read=text, required=True),
        Field(name="provider", read=one_of(Provider.values), required=True),
        Field(name="secret", read=secret, write=written_secret),
        Field(name="base_url", read=text_or_none, default=""),
        Field(name="api_version", read=text_or_none, default=""),
        Field(name="priority", read=whole, default=100),
        Field(name="weight", read=whole_or_none),
        *(Field(name=name, read=seconds_or_none) for name in TIMEOUTS),
        Field(name="disabled", read=switch, default=False),
        Field(name="drained", read=switch, default=False),
    )

    def label(self, values: Values) -> str:
        """The label."""
        return f"credential {values['label']}"

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """The base URL as it is kept; the provider's usual one is none."""
        url = trimmed(values["provider"], values["base_url"])
        try:
            parts = urlsplit(url)
            url = urlunsplit(parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()))
        except ValueError:
            pass  # the action says so
        return {**values, "base_url": _unusual(values["provider"], url)}

    def rows(self, owner: Owner) -> list[Found]:
        """By label, each with a variable of its own for the secret."""
        taken: set[str] = set()
        return [
            self.found(_values(row, _variable(row, taken)), row)
            for row in Credential.objects.filter(organization=owner).select_related("organization").order_by("label")
        ]

    def is_same(self, found: Found, stated: Stated) -> bool:
        """Whether the settings are those, and the secret is the variable's."""
        settings = {**stated.values, "secret": found.values["secret"]}
        return found.values == settings and _new_secret(found.row, stated.values["secret"]) is None

    def add(self, owner: Owner, values: Values, actor: Actor) -> Sequence[str]:
        """Add the account. Raises ImproperlyConfigured where the variable is not set."""
        reference: FromEnvironment | None = values["secret"]
        row = credential_add(
            organization=owner,
            provider=values["provider"],
            label=values["label"],
            secret="" if reference is None else env(reference.variable, any_text),
            **{name: values[name] for name in _SETTINGS},
            actor=actor,
        )
        _switch(row, values, actor)
        return ()

    def change(self, owner: Owner, found: Found, values: Values, actor: Actor) -> Sequence[str]:
        """Change settings and secret; provider and label are what it is."""
        del owner
        row: Credential = found.row
        if values["provider"] != row.provider:
            raise ValidationError(
                {"provider": f"{row.label} is an account of {row.provider}: give another provider's a label of its own"}
            )
        replaced = _new_secret(row, values["secret"])
        moved = values["base_url"] != found.values["base_url"]
        given = replaced if replaced is not None or not moved else _set(values["secret"])
        credential_update(credential=row, secret=given, **{name: values[name] for name in _SETTINGS}, actor=actor)
        _switch(row, values, actor)
        return () if replaced is None else (f"secret: replaced, {values['secret']}",)

    def remove(self, owner: Owner, found: Found, actor: Actor) -> bool:
        """Ask it no more."""
        del owner
        return credential_disable(credential=found.row, actor=actor)

    def is_gone(self, found: Found) -> bool:
        """Whether it is disabled."""
        return bool(found.values["disabled"])

    def remarks(self, owner: Owner, entries: Sequence[Stated]) -> list[str]:
        """Variables that are not set: what is stored stays."""
        del owner
        return [
            f"{stated.values['secret'].variable} is not set: the secret that {self.label(stated.values)} has stays."
            for stated in entries
            if stated.values["secret"] is not None and _set(stated.values["secret"]) is None
        ]


def _values(row: Credential, variable: str) -> Mapping[str, Any]:
    return {
        "label": row.label,
        "provider": row.provider,
        "secret": None if row.sealed_secret is None else FromEnvironment(variable),
        **{name: getattr(row, name) for name in _SETTINGS},
        "base_url": _unusual(row.provider, row.base_url),
        "disabled": not row.enabled,
        "drained": row.drained_at is not None,
    }


def _unusual(provider: str, url: str) -> str:
    """The base URL, if it is not everybody's."""
    return "" if url == kind_of(provider).base_url else url


def _variable(row: Credential, taken: set[str]) -> str:
    """A name for the variable that will hold the secret: TOLLGATE_ACME_MAIN_SECRET."""
    owner = "hosted" if row.organization is None else row.organization.slug
    name = f"TOLLGATE_{re.sub(r'[^A-Z0-9]+', '_', f'{owner}_{row.label}'.upper()).strip('_')}"[:100]
    found, number = f"{name}_SECRET", 2
    while found in taken:
        found, number = f"{name}_{number}_SECRET", number + 1
    taken.add(found)
    return found


def _new_secret(row: Credential, reference: FromEnvironment | None) -> str | None:
    """The variable's secret if it is set and another than the stored one."""
    given = _set(reference)
    if given is None:
        return None
    try:
        stored = row.secret()
    except SealingError:
        return given
    return None if hmac.compare_digest(stored.encode(), given.strip().encode()) else given


def _set(reference: FromEnvironment | None) -> str | None:
    """What the variable holds; None: nothing."""
    return None if reference is None else env(reference.variable, any_text, "") or None


def _switch(row: Credential, values: Values, actor: Actor) -> None:
    (credential_disable if values["disabled"] else credential_enable)(credential=row, actor=actor)
    (credential_drain if values["drained"] else credential_undrain)(credential=row, actor=actor)
