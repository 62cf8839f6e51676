"""What the first person is asked."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class SetupForm(forms.Form):
    """The organization and its owner."""

    code = forms.CharField(
        label=_("Setup code"),
        max_length=40,
        help_text=_("`manage.py setup_code`, on the machine of the installation, prints it."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autofocus": True}),
    )
    organization = forms.CharField(label=_("Organization"), max_length=100)
    name = forms.CharField(
        label=_("Your name"), max_length=100, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    email = forms.EmailField(
        label=_("Your e-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=_("Password again"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, sso: bool, passwords: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not passwords:
            del self.fields["password"], self.fields["again"]
        elif sso:
            self.fields["password"].required = self.fields["again"].required = False
            self.fields["password"].help_text = _(
                "Empty: you sign in with single sign-on, which must know your e-mail."
            )

    def clean(self) -> dict[str, Any]:
        """Both passwords must agree."""
        values = super().clean() or {}
        if values.get("password", "") != values.get("again", "") and not self.errors:
            self.add_error("again", _("The two passwords differ."))
        return values
