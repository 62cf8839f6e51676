"""The console's forms about credentials and models."""

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.console import ConsoleForm
from apps.core.theme import PasswordInput
from apps.providers.kinds import KINDS
from apps.providers.models import Credential


def secret_field(help_text: Any, *, required: bool) -> forms.CharField:
    """A provider's key: never rendered back, never remembered by the browser."""
    return forms.CharField(
        label=_("Secret"),
        required=required,
        help_text=help_text,
        widget=PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class CredentialAddForm(ConsoleForm):
    """A new credential."""

    secret = secret_field(
        _("The key you got from the provider. It is sealed, and never shown again but for its last four characters."),
        required=False,
    )

    class Meta:
        model = Credential
        exclude = ("enabled",)
        help_texts = {
            "base_url": _(
                "Empty: where the provider's API is for everybody. Azure: your endpoint, https://NAME.openai.azure.com. "
                "OpenAI-compatible: as its documentation says, mostly up to /v1."
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The base URL is filled in with the chosen provider's (console.js), and may be left empty."""
        super().__init__(*args, **kwargs)
        usual = {name: kind.base_url for name, kind in KINDS.items() if kind.base_url}
        self.fields["base_url"].required = False
        self.fields["base_url"].widget.attrs["data-usual"] = json.dumps(usual)


class CredentialChangeForm(ConsoleForm):
    """A credential's settings."""

    secret = secret_field(
        _("Only if the base URL changes: the provider's key again. To replace the key alone, use “Rotate secret”."),
        required=False,
    )

    class Meta:
        model = Credential
        exclude = ("enabled",)


class SecretForm(forms.Form):
    """A new secret."""

    secret = secret_field("", required=False)
