"""The console's forms about people and organizations."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.console import ConsoleForm
from apps.core.theme import PasswordInput, Select, Textarea
from apps.orgs.models import Membership, Organization, Role, SignUpDomain, User


def password_field(help_text: Any, *, required: bool) -> forms.CharField:
    """A new password, never rendered back."""
    return forms.CharField(
        label=_("Password"),
        required=required,
        strip=False,
        help_text=help_text,
        widget=PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class OrganizationForm(ConsoleForm):
    """An organization, and who may join it by themselves."""

    sign_up_domains = forms.CharField(
        label=_("Sign-up domains"),
        required=False,
        help_text=_(
            "Whoever shows an e-mail of one of these domains may join by themselves; one a line, such as acme.com. "
            "Empty: people are invited."
        ),
        widget=Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            named = SignUpDomain.objects.filter(organization=self.instance.pk).values_list("domain", flat=True)
            self.initial["sign_up_domains"] = "\n".join(named)

    class Meta:
        model = Organization
        fields = (
            "name",
            "slug",
            "timezone",
            "members_manage_services",
            "members_manage_tokens",
            "require_second_factor",
            "sign_up_role",
            "hosted_credentials",
        )


class UserAddForm(ConsoleForm):
    """A new user and, mostly, where the user belongs."""

    organization = forms.ModelChoiceField(
        Organization.objects.all(), label=_("Organization"), required=False, widget=Select()
    )
    role = forms.ChoiceField(choices=Role.choices, label=_("Role"), initial=Role.MEMBER, widget=Select())
    password = password_field(_("Empty: the user signs in with the one-time link that you get next."), required=False)

    class Meta:
        model = User
        fields = ("email", "name")


class PasswordForm(forms.Form):
    """A new password, twice."""

    password = password_field("", required=True)
    again = forms.CharField(
        label=_("Password again"), strip=False, widget=PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def clean(self) -> dict[str, object]:
        """Both must agree."""
        values = super().clean() or {}
        if values.get("password") and values.get("again") and values["password"] != values["again"]:
            self.add_error("again", _("The two passwords differ."))
        return values


class MembershipForm(ConsoleForm):
    """Who belongs where, as what."""

    class Meta:
        model = Membership
        fields = ("organization", "user", "role", "reads_content")
