"""The console's forms about services and tokens."""

from datetime import timedelta

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.console import ConsoleForm
from apps.core.endpoints import SCOPES
from apps.core.theme import CheckboxSelectMultiple, Select
from apps.services.models import Token

LIFETIMES = {
    "1": _("a day"),
    "7": _("a week"),
    "30": _("30 days"),
    "90": _("90 days"),
    "365": _("a year"),
    "": _("until it is revoked"),
}


class TokenForm(ConsoleForm):
    """What a new token is for, what it may do, and for how long."""

    lifetime = forms.ChoiceField(
        choices=list(LIFETIMES.items()), label=_("Valid for"), initial="90", required=False, widget=Select()
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        label=_("Scopes"),
        required=False,
        help_text=_("Endpoints it may call; none chosen: all."),
        widget=CheckboxSelectMultiple(),
    )

    class Meta:
        model = Token
        fields = ("service", "name")

    def clean_lifetime(self) -> timedelta | None:
        """The chosen length of time; None: for ever."""
        days: str = self.cleaned_data["lifetime"]
        return timedelta(days=int(days)) if days else None
