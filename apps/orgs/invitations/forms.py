"""The forms of invitations: the console's, and that of whoever accepts one."""

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.console import ConsoleForm
from apps.core.theme import Select, TextInput
from apps.orgs.forms import PasswordForm
from apps.orgs.invitations.models import Delivery, Invitation
from apps.orgs.models import Role

_LIFETIMES = (("1", _("one day")), ("7", _("a week")), ("30", _("30 days")))


def _lifetime_field() -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=_LIFETIMES, coerce=int, label=_("Expires after"), initial="7", widget=Select()
    )


class InvitationForm(ConsoleForm):
    """Whom to invite, as what, and how."""

    role = forms.ChoiceField(choices=Role.choices, label=_("Role"), initial=Role.MEMBER, widget=Select())
    delivery = forms.ChoiceField(
        choices=Delivery.choices,
        label=_("How it is delivered"),
        initial=Delivery.EMAIL,
        widget=Select(),
        help_text=_("By e-mail, the address counts as verified. A link you get to see, once, and hand over yourself."),
    )
    lifetime = _lifetime_field()

    class Meta:
        model = Invitation
        fields = ("organization", "email", "role", "delivery")


class RenewForm(forms.Form):
    """How an invitation goes out again."""

    delivery = forms.ChoiceField(choices=Delivery.choices, label=_("How it is delivered"), widget=Select())
    lifetime = _lifetime_field()


class JoinForm(PasswordForm):
    """Who has no account yet: name and password."""

    name = forms.CharField(
        label=_("Your name"),
        max_length=100,
        required=False,
        widget=TextInput(attrs={"autocomplete": "name", "autofocus": True}),
    )
    field_order = ("name", "password", "again")
